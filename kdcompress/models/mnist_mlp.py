"""The paper's MNIST student: two dense layers of 784 units (1,238,730 parameters at 28x28x1)."""

from __future__ import annotations

from typing import Any

from kdcompress.models._base import Architecture


class MnistMLP(Architecture):
    """The paper's MNIST student."""

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """Build the model; see `Architecture.build`."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape, name="image"),
                layers.Rescaling(1 / 255, name="scale"),
                layers.Flatten(name="flatten"),
                layers.Dense(784, activation="relu", name="dense1"),
                layers.Dense(784, activation="relu", name="dense2"),
                layers.Dense(classes, name="logits"),
            ],
            name="mnist_mlp",
        )


MODEL = MnistMLP
