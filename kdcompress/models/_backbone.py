"""Shared construction of the zoo's ImageNet networks: rescaling, a backbone of keras.applications, a dense head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kdcompress.errors import ModelError

# Keras's defaults of 0.99 and 0.999 suit ImageNet: in the few hundred steps of a small data set, moving statistics
# would stay near their initial values, and a trained network would fail in inference
MOMENTUM = 0.9
SMALLEST = 96  # pixels; below it, five strides of 2 leave too small a feature map


def classifier(
    application: Callable[..., Any], name: str, input_shape: tuple[int, int, int], classes: int, **settings: Any
) -> Any:
    """Build a classifier on a backbone of keras.applications, with random weights.

    Args:
        application: Function of keras.applications whose network expects pixels in [-1, 1].
        name: Name of the model.
        input_shape: (H, W, 3).
        classes: Number of classes.
        **settings: Further arguments of `application`.

    Returns:
        A flat Keras model from raw RGB pixels (batch, H, W, 3), 0 to 255, to logits (batch, classes).

    Raises:
        ModelError: If images are not RGB, or smaller than SMALLEST pixels.
    """
    from keras import Input, Model, layers

    _check_shape(name, input_shape)
    image = Input(input_shape, name="image")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    # Built on a tensor rather than called as a layer: quantization-aware training rejects nested models
    backbone = application(include_top=False, weights=None, input_tensor=scaled, **settings)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    pooled = layers.GlobalAveragePooling2D(name="pool")(backbone.output)
    return Model(image, layers.Dense(classes, name="logits")(pooled), name=name)


def _check_shape(name: str, input_shape: tuple[int, int, int]) -> None:
    height, width, channels = input_shape
    got = f"got {height}x{width}x{channels}"
    if channels != 3:
        raise ModelError(f'{name} takes RGB images, {got}; data.colour = "rgb" makes own images RGB')
    if min(height, width) < SMALLEST:
        raise ModelError(
            f"{name} takes images of at least {SMALLEST}x{SMALLEST} pixels, {got}; "
            f"data.size scales own images (data.size = {SMALLEST})"
        )
