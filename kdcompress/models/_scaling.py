"""Whether a model meets raw pixels, 0 to 255, with its first weights: it then learns badly, and nobody says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Layers that leave the size of numbers as it is
_INDIFFERENT = (
    "InputLayer", "Flatten", "Reshape", "Permute", "Dropout", "ZeroPadding2D", "Cropping2D", "Resizing", "CenterCrop",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "MaxPooling2D", "AveragePooling2D",
)  # fmt: skip
_WEIGHING = ("Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D")


def lacks_rescaling(model: Any) -> bool:
    """Whether no layer before the first with weights changes the range of pixels; False where that cannot be told."""
    for layer in _in_order(model):
        kind = type(layer).__name__
        if kind in _WEIGHING:
            return True
        if kind not in _INDIFFERENT:
            return False
    return False


def _in_order(model: Any) -> Iterator[Any]:
    """The steps of a functional or Sequential model, those of models in it, too; nothing of a subclassed one."""
    if not getattr(model, "inputs", None):
        return
    for layer in getattr(model, "operations", model.layers):  # plain arithmetic is an operation, and no layer
        if hasattr(layer, "layers"):
            yield from _in_order(layer)
        else:
            yield layer
