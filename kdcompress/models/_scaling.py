"""Detection of models whose first weights receive unscaled pixels, 0 to 255, which makes them train badly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

# Layers that preserve the range of their inputs
_RANGE_PRESERVING = (
    "InputLayer", "Flatten", "Reshape", "Permute", "Dropout", "ZeroPadding2D", "Cropping2D", "Resizing", "CenterCrop",
    "MaxPooling2D", "AveragePooling2D", "AugMix", "CutMix", "MixUp", "RandAugment", "GaussianNoise", "SpatialDropout2D",
)  # fmt: skip
_WEIGHTED = ("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def lacks_rescaling(model: Any) -> bool:
    """Return whether no layer before the first weights changes the range of the pixels.

    Args:
        model: A Keras model.

    Returns:
        False also if it cannot be determined. Of a subclassed model only its scaling layers are known, not their order.
    """
    if not getattr(model, "inputs", None):
        layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else []
        scaling = [layer for layer in layers if layer.built and type(layer).__name__ in ("Rescaling", "Normalization")]
        return bool(scaling) and all(map(_is_unadapted, scaling))
    for layer in _iter_layers(model):
        kind = type(layer).__name__
        if kind in _WEIGHTED:
            return True
        # Random layers pass images on at inference
        preserves = kind in _RANGE_PRESERVING or kind.startswith("Random") or _is_unadapted(layer)
        if not preserves:
            return False
    return False


def _is_unadapted(layer: Any) -> bool:
    """Return whether a layer is a `Normalization` that was never adapted, which subtracts 0 and divides by 1."""
    if type(layer).__name__ != "Normalization":
        return False
    mean, variance = getattr(layer, "mean", None), getattr(layer, "variance", None)
    if mean is None or variance is None:
        return True
    return not np.any(np.asarray(mean)) and bool(np.all(np.asarray(variance) == 1))


def _iter_layers(model: Any) -> Iterator[Any]:
    """Yield the operations of a functional or Sequential model, nested models included; none of a subclassed one."""
    if not getattr(model, "inputs", None):
        return
    for layer in getattr(model, "operations", model.layers):  # arithmetic is an operation but no layer
        if hasattr(layer, "layers"):
            yield from _iter_layers(layer)
        else:
            yield layer
