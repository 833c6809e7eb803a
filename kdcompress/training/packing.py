"""Several arrays of a batch in the one tensor that Keras hands to a loss, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LABELS = "(labels)"  # beside names of targets


@dataclass(frozen=True)
class Packing:
    """How the targets of a method stand in one tensor.

    An array on its own stays as it is; several, or labels beside them, are flattened and stand beside each other, as
    float32, which holds the number of every class.

    Attributes:
        shapes: The shape of each array behind the batch, by name.
        labels: The shape of the labels behind the batch, () for numbers of classes; None where they are not wanted.
    """

    shapes: Mapping[str, tuple[int, ...]]
    labels: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor behind the batch."""
        if self.alone:
            return next(iter(self.shapes.values()))
        return (sum(math.prod(shape) for shape in self._parts.values()),)

    @property
    def alone(self) -> bool:
        """Whether there is nothing to pack."""
        return len(self.shapes) == 1 and self.labels is None

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        return {**self.shapes} if self.labels is None else {**self.shapes, _LABELS: self.labels}

    def pack(self, arrays: Mapping[str, NDArray[Any]], labels: NDArray[Any]) -> NDArray[np.float32]:
        """Pack a batch.

        Args:
            arrays: Each of shape (batch, *shape).
            labels: Numbers of classes (batch,), or soft labels (batch, classes).

        Returns:
            Shape (batch, *self.shape).
        """
        if self.alone:
            return np.asarray(arrays[next(iter(self.shapes))], np.float32)
        values = {**arrays, _LABELS: labels}
        columns = [np.asarray(values[name], np.float32).reshape(len(labels), -1) for name in self._parts]
        return np.concatenate(columns, axis=1)

    def unpack(self, packed: Any) -> tuple[dict[str, Any], Any]:
        """The tensors (batch, *shape) by name, and the labels, or None where they are not wanted."""
        if self.alone:
            return {next(iter(self.shapes)): packed}, None
        from keras import ops

        tensors: dict[str, Any] = {}
        begin = 0
        for name, shape in self._parts.items():
            size = math.prod(shape)
            tensors[name] = ops.reshape(packed[:, begin : begin + size], (-1, *shape))
            begin += size
        labels = tensors.pop(_LABELS, None)
        if labels is not None and self.labels == ():
            labels = ops.cast(labels, "int64")
        return tensors, labels
