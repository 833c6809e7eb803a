"""FLOPs of a Keras model alone, for those who need no more of its cost."""

from __future__ import annotations

import logging
from typing import Any

from kdcompress.verification.costs.network import flops_of_model

logger = logging.getLogger(__name__)


def count_flops(model: Any, input_shape: tuple[int, int, int]) -> int:
    """FLOPs of one forward pass on one image (H, W, C), behind the preprocessing, as the profiler counts them.

    About 2 * MACs plus bias, BatchNorm and pooling. Every size must be known: `input_shape` fixes them.
    """
    return flops_of_model(model, input_shape)


def count_flops_or_none(model: Any, input_shape: tuple[int, int, int]) -> int | None:
    """As `count_flops`, or None for a model that TensorFlow cannot trace or profile (the reason is logged)."""
    try:
        return count_flops(model, input_shape)
    except Exception as exc:
        logger.warning("FLOPs of %s cannot be counted: %s", getattr(model, "name", model), exc)
        return None
