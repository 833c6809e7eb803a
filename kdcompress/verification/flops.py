"""FLOPs of a Keras model, where the rest of its cost is not needed."""

from __future__ import annotations

import logging
from typing import Any

from kdcompress.verification.costs.network import flops_of_model

logger = logging.getLogger(__name__)


def count_flops(model: Any, input_shape: tuple[int, int, int]) -> int:
    """Count the FLOPs of one forward pass on one image, without preprocessing, with TensorFlow's profiler.

    FLOPs are about 2 * MACs, plus bias, batch normalization and pooling.

    Args:
        model: Keras model.
        input_shape: (H, W, C).

    Returns:
        FLOPs.
    """
    return flops_of_model(model, input_shape)


def count_flops_or_none(model: Any, input_shape: tuple[int, int, int]) -> int | None:
    """Count FLOPs as `count_flops` does, where possible.

    Args:
        model: Keras model.
        input_shape: (H, W, C).

    Returns:
        FLOPs; None, with the reason logged, if TensorFlow cannot trace or profile the model.
    """
    try:
        return count_flops(model, input_shape)
    except Exception as exc:
        logger.warning("FLOPs of %s cannot be counted: %s", getattr(model, "name", model), exc)
        return None
