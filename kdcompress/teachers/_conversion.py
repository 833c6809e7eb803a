"""Conversion of a teacher's own outputs to logits of the data's classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdcompress.teachers._adapter import InputAdapter
from kdcompress.teachers._reading import OutputReading, with_both_classes


class LogitsConversion:
    """The part of a teacher that converts its outputs.

    Attributes:
        adapter: Conversion of pixels to the model's input, and of its outputs to the data's classes.
        reading: How the model's outputs are converted to logits.
        single_output: Whether it gives one number for two classes: that of the second.
    """

    adapter: InputAdapter
    reading: OutputReading = OutputReading()
    single_output: bool = False

    def to_logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert the model's own outputs to logits of the data's classes.

        Args:
            outputs: What `run` gives, (..., outputs).

        Returns:
            Shape (..., classes), in the data's order of classes.
        """
        logits = self.reading.to_logits(outputs)
        if self.single_output:
            logits = with_both_classes(logits)
        return self.adapter.arrange(logits)

    def notes(self, classes: Sequence[str]) -> list[str]:
        """Return messages on the conversion of outputs, to follow the description.

        Args:
            classes: Names of the data's classes.
        """
        notes = [self.reading.note] if self.reading.note else []
        if self.single_output:
            names = self.adapter.section.classes or classes
            notes.append(f"has one output for two classes: it is taken as the logit of {names[1]!r}")
        return notes
