"""A depthwise separable CNN for small images (37,706 parameters at 28x28x1, 6.0 MFLOPs; takes width)."""

from __future__ import annotations

from typing import Any

from kdcompress.models._base import Architecture
from kdcompress.models._small import check_size, normalized, scale_filters

_BLOCKS = ((64, 2), (64, 1), (128, 2), (128, 1))  # filters and stride


class DSCNN(Architecture):
    """A convolution and four depthwise separable ones, after DS-CNN (Zhang et al. 2017, arXiv:1711.07128)."""

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

        check_size("ds_cnn", input_shape)
        image = Input(input_shape, name="image")
        features = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
        stem = layers.Conv2D(scale_filters(32, width), 3, padding="same", use_bias=False, name="stem")
        features = normalized(stem(features), "stem")
        for number, (filters, stride) in enumerate(_BLOCKS, start=1):
            depthwise, pointwise = f"depthwise{number}", f"pointwise{number}"
            features = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=depthwise)(features)
            features = normalized(features, depthwise)
            features = layers.Conv2D(scale_filters(filters, width), 1, use_bias=False, name=pointwise)(features)
            features = normalized(features, pointwise)
        pooled = layers.GlobalAveragePooling2D(name="pool")(features)
        return Model(image, layers.Dense(classes, name="logits")(pooled), name="ds_cnn")


MODEL = DSCNN
