"""A very small network."""

from __future__ import annotations

from typing import Any

from kdcompress.models import Architecture


class Tiny(Architecture):
    """One convolution and one dense layer."""

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """A Keras model from raw pixels (batch, H, W, C), 0 to 255, to logits (batch, classes)."""
        from keras import Input, Sequential, layers

        return Sequential(
            [
                Input(input_shape, name="image"),
                layers.Rescaling(1 / 255, name="scale"),
                layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
                layers.Flatten(name="flatten"),
                layers.Dense(classes, name="logits"),
            ],
            name="tiny",
        )
