"""Shared construction of small networks for small images."""

from __future__ import annotations

from typing import Any

from kdcompress.errors import ModelError
from kdcompress.models._backbone import MOMENTUM

SMALLEST = 8  # pixels; below it, nothing is left behind two poolings
_MULTIPLE = 8  # of filters, which kernels of CPUs are fastest for


def scale_filters(filters: int, width: float) -> int:
    """Multiply a number of filters, to a multiple of 8.

    Args:
        filters: Number of filters at width 1.
        width: Multiplier > 0.

    Returns:
        The nearest multiple of 8, at least 8.
    """
    return max(_MULTIPLE, _MULTIPLE * round(filters * width / _MULTIPLE))


def normalized(features: Any, name: str) -> Any:
    """Add batch normalization and a ReLU.

    Args:
        features: Output of a convolution without bias.
        name: Prefix of the names of both layers.

    Returns:
        The output of the ReLU.
    """
    from keras import layers

    features = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(features)
    return layers.ReLU(name=f"{name}_relu")(features)


def check_size(name: str, input_shape: tuple[int, int, int]) -> None:
    """Check that images are large enough for two poolings.

    Args:
        name: Name of the model, for messages.
        input_shape: (H, W, C).

    Raises:
        ModelError: If a side is below SMALLEST.
    """
    height, width, _ = input_shape
    if min(height, width) < SMALLEST:
        raise ModelError(
            f"{name} takes images of at least {SMALLEST}x{SMALLEST} pixels, got {height}x{width}; "
            "data.size scales own images"
        )
