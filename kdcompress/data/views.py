"""Augmentation by enumerated views: view k of a sample is always the same image, so the teacher labels it once."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import ViewsSection

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
# Symmetries of a square as matrices (a, b, c, d); the first four are those of a rectangle
_FLIPS = (
    (1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1),
    (0, -1, 1, 0), (0, 1, -1, 0), (0, 1, 1, 0), (0, -1, -1, 0),
)  # fmt: skip


def view_transforms(views: ViewsSection, ids: NDArray[np.str_], height: int, width: int) -> NDArray[np.float32]:
    """Compute the transforms of all views, which depend on sample id and view number alone.

    A view is its flip or quarter turn, if enabled, followed by a rotation about the centre, uniform in +-rotation_deg
    (degrees), and shifts, uniform in +-shift_px (pixels) on each axis. View 0 is the image itself.

    Args:
        views: The recipe's section `views`.
        ids: Sample ids, (n,).
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        Projective parameters that map output to input pixels, (n, count, 8).
    """
    by_view = [select_transforms(views, ids, np.full(len(ids), view), height, width) for view in range(views.count)]
    return np.stack(by_view, axis=1)


def select_transforms(
    views: ViewsSection, ids: NDArray[np.str_], chosen: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    """Compute the transform of one view of each sample; see `view_transforms`.

    Args:
        views: The recipe's section `views`.
        ids: Sample ids, (n,).
        chosen: View number of each sample, (n,).
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        Projective parameters, (n, 8).
    """
    rows = [_transform(views, str(sample), int(view), height, width) for sample, view in zip(ids, chosen, strict=True)]
    return np.array(rows, np.float32).reshape(-1, 8)


def scale_transforms(
    transforms: NDArray[np.float32], before: tuple[int, int], after: tuple[int, int]
) -> NDArray[np.float32]:
    """Adapt transforms to images of another size.

    Pixel i covers the interval from i to i + 1, so that both sizes have the same centre.

    Args:
        transforms: Projective parameters, (..., 8).
        before: (H, W) that they are for.
        after: (H, W) of the images.

    Returns:
        Projective parameters, (..., 8).
    """
    if before == after:
        return transforms
    y, x = after[0] / before[0], after[1] / before[1]
    scale = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    matrices = np.concatenate([transforms, np.ones((*transforms.shape[:-1], 1))], axis=-1)
    moved = scale @ matrices.reshape(*transforms.shape[:-1], 3, 3) @ np.linalg.inv(scale)
    return np.asarray(moved.reshape(*transforms.shape[:-1], 9)[..., :8], np.float32)


def apply_transforms(images: Any, transforms: Any, fill: str = "black") -> Any:
    """Transform images with bilinear interpolation, rounded to integers.

    Each view depends on its own image alone, whatever the batch.

    Args:
        images: (n, H, W, C), 0 to 255.
        transforms: Projective parameters, (n, 8).
        fill: Pixels outside the image: "black", or "reflect" for the image mirrored at its edge.

    Returns:
        Tensor (n, H, W, C), float32.
    """
    from keras import ops

    mode = {"black": "constant", "reflect": "reflect"}[fill]
    moved = ops.image.affine_transform(
        ops.cast(images, "float32"), transforms, interpolation="bilinear", fill_mode=mode, fill_value=0.0
    )
    return ops.round(moved)


def projective(
    angle: float, dx: float, dy: float, height: int, width: int, flip: tuple[int, ...] = (1, 0, 0, 1)
) -> tuple[float, ...]:
    """Compute the projective parameters of a flip, a rotation and a shift.

    Args:
        angle: Rotation about the centre, in radians.
        dx: Horizontal shift in pixels.
        dy: Vertical shift in pixels.
        height: Image height in pixels.
        width: Image width in pixels.
        flip: (a, b, c, d), which maps x, y to a x + b y, c x + d y about the centre.

    Returns:
        The 8 parameters.
    """
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    a, b, c, d = flip
    xx, xy = cos * a - sin * c, cos * b - sin * d
    yx, yy = sin * a + cos * c, sin * b + cos * d
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return (xx, xy, cx - xx * cx - xy * cy + dx, yx, yy, cy - yx * cx - yy * cy + dy, 0.0, 0.0)


def _transform(views: ViewsSection, sample: str, view: int, height: int, width: int) -> tuple[float, ...]:
    if view == 0:
        return _IDENTITY
    draw = hashlib.blake2b(f"{sample}\0{view}".encode("utf-8", "surrogatepass"), digest_size=24).digest()
    dx, dy, turn = (int.from_bytes(draw[i : i + 8], "big") / 2**63 - 1 for i in (0, 8, 16))
    angle = float(np.deg2rad(turn * views.rotation_deg))
    flip = _FLIPS[view % (8 if height == width else 4)] if views.flips else _FLIPS[0]
    return projective(angle, dx * views.shift_px, dy * views.shift_px, height, width, flip)
