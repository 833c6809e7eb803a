"""Comparison of a smaller model with the larger one in which no layer reads the removed channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.channels.coupling import Coupling, find_coupling
from kdcompress.compression.channels.rebuilding import Kept, rebuild
from kdcompress.errors import ModelError
from kdcompress.exporting._float32 import FLOAT32, find_policy, rebuild_in_float32
from kdcompress.models import Forward

TOLERANCE = 1e-5
"""Largest difference of outputs, relative to the largest output."""


def mask(model: Any, coupling: Coupling, kept: Kept) -> Any:
    """Copy a model, and set the weights that read removed channels to zero.

    Args:
        model: Functional or Sequential model.
        coupling: Its coupled channels.
        kept: Which classes stay.

    Returns:
        A model of the same size.
    """
    copy = rebuild(model, coupling, coupling.all_kept())
    own = find_coupling(copy)
    stays = kept[own.classes]
    for weight in own.weights_that_read():
        slices = weight.slices()
        slices[~stays[weight.units]] = 0
        weight.assign(slices)
    return copy


def check_equality(larger: Any, smaller: Any, coupling: Coupling, kept: Kept, images: NDArray[Any]) -> float:
    """Check that a smaller model computes what the larger one does without the removed channels.

    Args:
        larger: The model before channels were removed.
        smaller: The model after that.
        coupling: Coupled channels of the larger model.
        kept: Which classes stay.
        images: Some images (n, H, W, C).

    Returns:
        The largest difference of outputs, relative to the largest output.

    Raises:
        ModelError: It is larger than `TOLERANCE`, or not a number.
    """
    expected, outputs = (_outputs(model, images) for model in (mask(larger, coupling, kept), smaller))
    difference = float(np.abs(outputs - expected).max() / max(float(np.abs(expected).max()), np.finfo(float).tiny))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"{larger.name} without its removed channels must compute what it does when they are not read, within "
            f"{TOLERANCE:g} of the largest output, and differs by {difference:.3g}; compress it without channels, and "
            "report the model"
        )
    return difference


def _outputs(model: Any, images: NDArray[Any]) -> NDArray[np.float32]:
    """Compute outputs in float32, so that the rounding of mixed precision is no difference."""
    if find_policy(model) != FLOAT32:
        height, width, channels = images.shape[1:]
        model = rebuild_in_float32(model, (height, width, channels), model.name)
    return Forward(model)(images)
