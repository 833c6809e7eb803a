"""Reasons in a Keras model itself why an export cannot be compared with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Run = Callable[[NDArray[np.generic]], NDArray[np.float32]]
_IMAGES = 8
_RELATIVE = 1e-6  # change of the pixels: a few times the rounding of float32


def describe_instability(
    run: Run, images: NDArray[np.generic], logits: NDArray[np.float32], tolerance: float
) -> str | None:
    """Run a model on pixels that differ by rounding, and on images alone, and compare its logits.

    Args:
        run: The model.
        images: (n, H, W, C), of which a few are taken.
        logits: Its outputs for them, (n, classes).
        tolerance: Largest difference of logits that passes.

    Returns:
        What the model's own logits depend on; None if they differ by less than the tolerance.
    """
    pixels, logits = images[:_IMAGES].astype(np.float32), logits[:_IMAGES]
    if (change := _difference(run(pixels * np.float32(1 + _RELATIVE)), run(pixels))) > tolerance:
        return (
            f"the Keras model's own logits change by up to {change:.3g} if its pixels change by a millionth, so they "
            "are little else than rounding errors: look for layers that cancel each other, such as a normalization "
            "ahead of a mean"
        )
    alone = np.concatenate([run(pixels[index : index + 1]) for index in range(len(pixels))])
    if (change := _difference(alone, logits)) > tolerance:
        return (
            f"the Keras model's own logits change by up to {change:.3g} if an image is alone in its batch: make its "
            "layers treat each image by itself"
        )
    return None


def _difference(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    return float(np.abs(left - right).max())
