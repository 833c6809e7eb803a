"""The outputs that are required of a teacher, and targets that are read when they are indexed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Shape

RowIndex: TypeAlias = "tuple[NDArray[np.int64] | slice, NDArray[np.int64] | int]"
"""(sample indices, view numbers)."""


@dataclass(frozen=True)
class OutputSpec:
    """The images that a teacher must accept and the outputs that it must give.

    Attributes:
        input_shape: Shape (H, W, C) of the data's images.
        classes: Names of the data's classes.
        head: Number of outputs of a method with a head of its own; 0 for one output per class.
        merged: Whether the recipe merges the data's own classes into these.
    """

    input_shape: Shape
    classes: tuple[str, ...]
    head: int = 0
    merged: bool = False

    @property
    def n_outputs(self) -> int:
        """The number of outputs per image."""
        return self.head or len(self.classes)

    @property
    def merging(self) -> str:
        """What a message on other classes ends in where the recipe merges classes, else nothing."""
        if not self.merged:
            return ""
        return f"; [superclasses] merges the data's classes, and a teacher gives logits of {', '.join(self.classes)}"


@dataclass(frozen=True)
class Selection:
    """The part of a model file that a teacher uses.

    Attributes:
        image: Name of the input for images; None for the only one.
        output: Name of the output; None for the only one.
        constants: Values of the other inputs, by name.
    """

    image: str | None = None
    output: str | None = None
    constants: Mapping[str, bool | int | float] = field(default_factory=dict)


class TargetRows(Protocol):
    """Targets (samples, views, ...) that are read when they are indexed: rows[samples, views]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, views, ...)."""

    def __getitem__(self, index: RowIndex) -> NDArray[np.float32]:
        """The targets (n, ...) of some samples, each in its view, or all in one view."""
