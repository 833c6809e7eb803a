"""What the zoo's ImageNet networks share: raw pixels in, a backbone of keras.applications, a dense layer behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kdcompress.errors import ModelError

# Keras's 0.99 and 0.999 are for ImageNet: in the few hundred steps of a small data set, moving statistics would stay
# those of the start, and a trained network would be wrong in inference
MOMENTUM = 0.9
SMALLEST = 96  # pixels; below it, five halvings leave too little of an image to look at


def classifier(
    application: Callable[..., Any], name: str, input_shape: tuple[int, int, int], classes: int, **settings: Any
) -> Any:
    """One flat graph from raw RGB pixels (batch, H, W, 3), 0 to 255, to logits (batch, classes).

    `application` is a network of keras.applications that wants pixels in [-1, 1]; it gets `settings`. Weights are
    random. Errors: ModelError for images that are not RGB, or smaller than SMALLEST.
    """
    from keras import Input, Model, layers

    _refuse_shape(name, input_shape)
    image = Input(input_shape, name="image")
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    # Built on a tensor and not called as a layer, for quantization-aware training refuses a model inside a model.
    backbone = application(include_top=False, weights=None, input_tensor=scaled, **settings)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    pooled = layers.GlobalAveragePooling2D(name="pool")(backbone.output)
    return Model(image, layers.Dense(classes, name="logits")(pooled), name=name)


def _refuse_shape(name: str, input_shape: tuple[int, int, int]) -> None:
    height, width, channels = input_shape
    got = f"got {height}x{width}x{channels}"
    if channels != 3:
        raise ModelError(f'{name} takes RGB images, {got}; data.colour = "rgb" makes own images RGB')
    if min(height, width) < SMALLEST:
        raise ModelError(
            f"{name} takes images of at least {SMALLEST}x{SMALLEST} pixels, {got}; "
            f"data.size scales own images (data.size = {SMALLEST})"
        )
