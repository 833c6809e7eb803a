"""Constants for the inputs of a SavedModel beside the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.models import check_image_size


def constant_inputs(signature: Any, constants: Mapping[str, float], images: Any) -> dict[str, Any]:
    """Create tensors for the inputs that are constant.

    Args:
        signature: Signature of a SavedModel.
        constants: Their values by name.
        images: Tensor of images, (n, ...): an open first dimension of an input becomes n, other open ones 1.

    Returns:
        The tensors by name.
    """
    specs = signature.structured_input_signature[1]
    return {name: _constant(specs[name], value, images) for name, value in constants.items()}


def _constant(spec: Any, value: float, images: Any) -> Any:
    import tensorflow as tf

    sizes = list(spec.shape) if spec.shape.rank else []
    check_image_size([size or 1 for size in sizes], f"input {spec.name}")
    open_sizes = [tf.shape(images)[0], *[1] * len(sizes)]
    filled = [open_sizes[axis] if size is None else size for axis, size in enumerate(sizes)]
    return tf.fill(filled, tf.constant(value, spec.dtype))
