"""Packing of several arrays of a batch into the one tensor that Keras passes to a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LABELS = "(labels)"  # no name of targets


@dataclass(frozen=True)
class Packing:
    """Layout of the targets of a method in one tensor.

    A single array stays as it is. Several arrays, or labels with them, are flattened and concatenated as float32, which
    represents all class indices exactly.

    Attributes:
        shapes: Shape of each array without the batch, by name.
        labels: Shape of the labels without the batch, () for class indices; None if they are not included.
    """

    shapes: Mapping[str, tuple[int, ...]]
    labels: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor without the batch."""
        if self.alone:
            return next(iter(self.shapes.values()))
        return (sum(math.prod(shape) for shape in self._parts.values()),)

    @property
    def alone(self) -> bool:
        """Whether there is a single array and nothing to pack."""
        return len(self.shapes) == 1 and self.labels is None

    @property
    def _parts(self) -> dict[str, tuple[int, ...]]:
        return {**self.shapes} if self.labels is None else {**self.shapes, _LABELS: self.labels}

    def pack(self, arrays: Mapping[str, NDArray[Any]], labels: NDArray[Any]) -> NDArray[np.float32]:
        """Pack a batch.

        Args:
            arrays: Each of shape (batch, *shape).
            labels: Class indices (batch,), or soft labels (batch, classes).

        Returns:
            Shape (batch, *self.shape).
        """
        if self.alone:
            return np.asarray(arrays[next(iter(self.shapes))], np.float32)
        values = {**arrays, _LABELS: labels}
        columns = [np.asarray(values[name], np.float32).reshape(len(labels), -1) for name in self._parts]
        return np.concatenate(columns, axis=1)

    def unpack(self, packed: Any) -> tuple[dict[str, Any], Any]:
        """Unpack a batch.

        Args:
            packed: Tensor (batch, *self.shape).

        Returns:
            (tensors (batch, *shape) by name, labels or None if they are not included).
        """
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
