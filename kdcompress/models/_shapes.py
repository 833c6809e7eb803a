"""Image shapes that models declare and users pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kdcompress.errors import ModelError

MAX_VALUES = 1 << 28  # per image: 9,459 x 9,459 in RGB


def declared_shape(model: Any, subject: str) -> tuple[int | None, ...] | None:
    """Return the input shape that a Keras model declares.

    Args:
        model: A Keras model.
        subject: Name of the model for messages.

    Returns:
        Shape without the batch axis, None for open sizes; None for a model that is built on its first input.

    Raises:
        ModelError: If it has more than one input.
    """
    if len(getattr(model, "inputs", None) or [None]) != 1:
        raise ModelError(f"{subject} has {len(model.inputs)} inputs; it must take one batch of images")
    return tuple(model.inputs[0].shape[1:]) if getattr(model, "inputs", None) else None


def resolve_image_shape(
    declared: Sequence[int | None] | None, requested: tuple[int, int, int] | None, subject: str
) -> tuple[int, int, int]:
    """Resolve the image shape of a model from its declared shape and the user's.

    Args:
        declared: What `declared_shape` returned.
        requested: (H, W, C) that the user passed, or None.
        subject: Name of the model for messages.

    Returns:
        (H, W, C).

    Raises:
        ModelError: If the inputs are no images, both shapes disagree, a size stays open, or images are too large.
    """
    if declared is not None and len(declared) != 3:
        raise ModelError(f"{subject} takes inputs of shape {format_shape(declared)}; it must take images of H x W x C")
    sizes = tuple(declared or (None, None, None))
    if requested and not shapes_match(sizes, requested):
        raise ModelError(
            f"--input-shape must fit {subject}, which takes images of {format_shape(sizes)}, "
            f"got {format_shape(requested)}"
        )
    height, width, channels = requested or sizes
    if height is None or width is None or channels is None:
        raise ModelError(f"{subject} takes images of {format_shape(sizes)}, a size left open: pass --input-shape H,W,C")
    check_image_size((height, width, channels), subject)
    return height, width, channels


def check_image_size(shape: Sequence[int], subject: str) -> None:
    """Check that images are not so large that a damaged or hostile file would exhaust memory.

    Args:
        shape: Shape of one image.
        subject: Name of the model for messages.

    Raises:
        ModelError: If it has more than MAX_VALUES values.
    """
    if math.prod(shape) > MAX_VALUES:
        raise ModelError(
            f"{subject} takes images of {format_shape(shape)}; more than {MAX_VALUES:,} values are not given to it"
        )


def shapes_match(expected: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    """Return whether a shape is compatible with an expected one.

    Args:
        expected: Sizes, None where any is allowed.
        shape: Sizes.
    """
    return len(expected) == len(shape) and all(e in (None, s) for e, s in zip(expected, shape, strict=True))


def format_shape(shape: Sequence[int | None]) -> str:
    """Format a shape for messages.

    Args:
        shape: Sizes, None where open.

    Returns:
        Text such as "28x28x1" or "?x?x3".
    """
    return "x".join("?" if part is None else str(part) for part in shape)
