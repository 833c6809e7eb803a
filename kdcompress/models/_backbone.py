"""Shared construction of the zoo's ImageNet networks: preprocessing, a backbone of keras.applications, a dense head."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.models._applications import Pixels

# Keras's defaults of 0.99 and 0.999 suit ImageNet: in the few hundred steps of a small data set, moving statistics
# would stay near their initial values, and a trained network would fail in inference
MOMENTUM = 0.9
SMALLEST = 96  # pixels; below it, five strides of 2 leave too small a feature map
# Of ImageNet's RGB pixels in 0..1 (Keras's preprocess_input)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BGR_MEAN = (103.939, 116.779, 123.68)  # of BGR pixels in 0..255


def classifier(
    application: Callable[..., Any],
    name: str,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    pixels: Pixels = Pixels.SIGNED,
    smallest: int = SMALLEST,
    **settings: Any,
) -> Any:
    """Build a classifier on a backbone of keras.applications, with random weights.

    Args:
        application: Function of keras.applications.
        name: Name of the model.
        input_shape: (H, W, 3).
        classes: Number of classes.
        pixels: Preprocessing that the network expects.
        smallest: Smallest side of images.
        **settings: Further arguments of `application`.

    Returns:
        A Keras model from raw RGB pixels (batch, H, W, 3), 0 to 255, to logits (batch, classes).

    Raises:
        ModelError: If images are not RGB, or smaller than `smallest` pixels.
    """
    from keras import Input, Model, layers

    _check_shape(name, input_shape, smallest)
    image = Input(input_shape, name="image")
    # Built on a tensor rather than called as a layer: quantization-aware training rejects nested models
    backbone = application(include_top=False, weights=None, input_tensor=_preprocess(image, pixels), **settings)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = MOMENTUM
    features = backbone.output
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D(name="pool")(features)
    return Model(image, layers.Dense(classes, name="logits")(features), name=name)


def _preprocess(image: Any, pixels: Pixels) -> Any:
    from keras import layers, ops

    if pixels is Pixels.SIGNED:
        return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)
    if pixels is Pixels.STANDARDIZED:
        scale = [1 / (255 * std) for std in _STD]
        offset = [-mean / std for mean, std in zip(_MEAN, _STD, strict=True)]
        return layers.Rescaling(scale, offset=offset, name="scale")(image)
    if pixels is Pixels.BGR:
        flipped = ops.flip(image, axis=-1)
        return layers.Rescaling(1.0, offset=[-mean for mean in _BGR_MEAN], name="scale")(flipped)
    return image


def set_normalization(model: Any) -> None:
    """Set the `Normalization` layers of an EfficientNet to ImageNet's statistics.

    Keras builds them without statistics and, for its published weights, adds a rescaling behind them that corrects
    their variance. Statistics that are right from the start make one network of both.

    Args:
        model: A Keras model.
    """
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            layer.set_weights([mean * 0 + _MEAN, variance * 0 + [std**2 for std in _STD], count])
            layer.finalize_state()


def name_by_position(model: Any) -> None:
    """Rename the layers that Keras named by a counter of the process, such as conv2d_94, by their position.

    A file of weights that Keras published counts in another order, so that its names must not match.

    Args:
        model: A functional Keras model; its layers are renamed in place.
    """
    for number, operation in enumerate(model.operations):
        stem = re.sub(r"_\d+$", "", operation.name)
        if stem.replace("_", "") == type(operation).__name__.lower():
            operation.name = f"layer{number}_{stem}"


def is_positional(name: str) -> bool:
    """Return whether `name_by_position` made the name of a layer.

    Args:
        name: The name.
    """
    return re.match(r"layer\d+_", name) is not None


def _check_shape(name: str, input_shape: tuple[int, int, int], smallest: int) -> None:
    height, width, channels = input_shape
    got = f"got {height}x{width}x{channels}"
    if channels != 3:
        raise ModelError(f'{name} takes RGB images, {got}; data.colour = "rgb" makes own images RGB')
    if min(height, width) < smallest:
        raise ModelError(
            f"{name} takes images of at least {smallest}x{smallest} pixels, {got}; "
            f"data.size scales own images (data.size = {smallest})"
        )
