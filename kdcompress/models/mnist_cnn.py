"""The paper's MNIST teacher: two convolutions and a dense layer (1,011,466 parameters at 28x28x1)."""

from __future__ import annotations

from typing import Any

from kdcompress.models._base import Architecture


class MnistCNN(Architecture):
    """The paper's MNIST teacher."""

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """Build the model; see `Architecture.build`."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape, name="image"),
                layers.Rescaling(1 / 255, name="scale"),
                layers.Conv2D(32, 3, activation="relu", name="conv1"),
                layers.MaxPooling2D(2, strides=1, name="pool1"),
                layers.Conv2D(64, 3, activation="relu", name="conv2"),
                layers.MaxPooling2D(2, strides=2, name="pool2"),
                layers.Flatten(name="flatten"),
                layers.Dropout(0.5, name="dropout1"),
                layers.Dense(128, activation="relu", name="dense"),
                layers.Dropout(0.5, name="dropout2"),
                layers.Dense(classes, name="logits"),
            ],
            name="mnist_cnn",
        )


MODEL = MnistCNN
