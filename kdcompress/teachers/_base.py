"""What a teacher is to the rest of kdcompress: numbers for images, and a digest that names who gave them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows of probabilities sum to 1 within this, in float32 or float16.
_SUM_TOLERANCE = 1e-3
# Images whose outputs are looked at to tell probabilities from logits
LOOK_AT = 256


class Teacher(ABC):
    """A teacher from any framework: only its numbers are needed."""

    digest: str
    outputs: str = "logits"

    @abstractmethod
    def raw(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """The model's own outputs (n, classes) for raw pixels (n, H, W, C)."""

    def logits(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """Logits (n, classes); a teacher that ends in probabilities gives their logarithms."""
        return self.to_logits(self.raw(images))

    def to_logits(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn the model's own outputs (..., classes) into logits."""
        if self.outputs == "probabilities":
            return np.log(np.maximum(raw, np.finfo(np.float32).tiny))
        return raw

    def notice_outputs(self, images: NDArray[np.generic]) -> bool:
        """Look at the outputs for some images; returns whether they are probabilities, to be turned into logits."""
        probabilities = are_probabilities(self.raw(images))
        self.outputs = "probabilities" if probabilities else "logits"
        return probabilities


def are_probabilities(outputs: NDArray[np.floating[Any]]) -> bool:
    """Whether outputs (n, classes) are probabilities, not logits: none is negative and every row sums to 1."""
    return bool((outputs >= 0).all() and (np.abs(outputs.sum(axis=-1) - 1) < _SUM_TOLERANCE).all())
