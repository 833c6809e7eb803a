"""Weights of the losses, which may change from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kdcompress.methods import Method


class LossWeights:
    """The weights of a method's losses, by name, as `compile` takes them.

    A constant weight is a number, which Keras folds into the graph; a weight that changes is a variable.

    Args:
        method: The method.
        epochs: Number of epochs of the whole training.
    """

    def __init__(self, method: Method, epochs: int) -> None:
        self._schedules: dict[str, Callable[[int], float]] = {"label": method.label_weight_at}
        if method.needs_targets:
            self._schedules["targets"] = method.weight_at
        self.values: dict[str, Any] = {name: _value(weight, epochs) for name, weight in self._schedules.items()}
        self.values |= {name: extra.weight for name, extra in method.extra_losses.items()}

    def set_epoch(self, epoch: int) -> None:
        """Set the weights that change.

        Args:
            epoch: Epoch, counted from 0.
        """
        for name, weight in self._schedules.items():
            if not isinstance(self.values[name], float):
                self.values[name].assign(weight(epoch))


def _value(weight: Callable[[int], float], epochs: int) -> Any:
    first = float(weight(0))
    if all(weight(epoch) == first for epoch in range(1, epochs)):
        return first
    import keras

    return keras.Variable(first, dtype="float32", trainable=False, name="loss_weight")
