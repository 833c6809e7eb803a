"""The sizes of images that a model takes, by its own word and the user's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kdcompress.errors import ModelError

MAX_VALUES = 1 << 28  # of one image: 9,459 x 9,459 in RGB


def declared_shape(model: Any, what: str) -> tuple[int | None, ...] | None:
    """What a Keras model says of its images' (H, W, C), or None if it learns that from its first image.

    Errors: ModelError if it takes more than one input.
    """
    if len(getattr(model, "inputs", None) or [None]) != 1:
        raise ModelError(f"{what} has {len(model.inputs)} inputs; it must take one batch of images")
    return tuple(model.inputs[0].shape[1:]) if getattr(model, "inputs", None) else None


def resolve_image_shape(
    own: Sequence[int | None] | None, given: tuple[int, int, int] | None, what: str
) -> tuple[int, int, int]:
    """The one (H, W, C) of a model's images, from its own shape (None where open) and the one the user gave.

    Errors: ModelError if `own` is no image, if both disagree, or if a size stays open; `what` names the model.
    """
    if own is not None and len(own) != 3:
        raise ModelError(f"{what} takes inputs of shape {format_shape(own)}; it must take images of H x W x C")
    sizes = tuple(own or (None, None, None))
    if given and not shapes_match(sizes, given):
        raise ModelError(
            f"--input-shape must fit {what}, which takes images of {format_shape(sizes)}, got {format_shape(given)}"
        )
    height, width, channels = given or sizes
    if height is None or width is None or channels is None:
        raise ModelError(f"{what} takes images of {format_shape(sizes)}, a size left open: pass --input-shape H,W,C")
    check_image_size((height, width, channels), what)
    return height, width, channels


def check_image_size(shape: Sequence[int], what: str) -> None:
    """ModelError for images that no classifier takes: a file that claims such would only use up the memory."""
    if math.prod(shape) > MAX_VALUES:
        raise ModelError(
            f"{what} takes images of {format_shape(shape)}; more than {MAX_VALUES:,} values are not given to it"
        )


def shapes_match(expected: tuple[int | None, ...], given: tuple[int, ...]) -> bool:
    return len(expected) == len(given) and all(e in (None, g) for e, g in zip(expected, given, strict=True))


def format_shape(shape: Sequence[int | None]) -> str:
    return "x".join("?" if part is None else str(part) for part in shape)
