"""A small CNN for small images: three 3x3 convolutions (24,282 parameters at 28x28x1, 3.9 MFLOPs; takes width)."""

from __future__ import annotations

from typing import Any

from kdcompress.models._base import Architecture
from kdcompress.models._small import check_size, normalized, scale_filters


class TinyCNN(Architecture):
    """Three convolutions of 16, 32 and 64 filters with batch normalization, global average pooling and a dense head."""

    widths = (0.25, 0.5, 1.0, 2.0)

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
        """Build the model for images of at least 8 pixels, grey or RGB; see `Architecture.build`.

        Args:
            input_shape: (H, W, C).
            classes: Number of classes.
            width: > 0, multiplies the filters of every layer, to multiples of 8.

        Returns:
            The Keras model.
        """
        from keras import Input, Model, layers

        check_size("tiny_cnn", input_shape)
        image = Input(input_shape, name="image")
        features = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
        for number, filters in enumerate((16, 32, 64), start=1):
            name = f"conv{number}"
            convolution = layers.Conv2D(scale_filters(filters, width), 3, padding="same", use_bias=False, name=name)
            features = normalized(convolution(features), name)
            if number < 3:
                features = layers.MaxPooling2D(2, name=f"pool{number}")(features)
        pooled = layers.GlobalAveragePooling2D(name="pool")(features)
        return Model(image, layers.Dense(classes, name="logits")(pooled), name="tiny_cnn")


MODEL = TinyCNN
