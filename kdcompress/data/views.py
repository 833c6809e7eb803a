"""Augmentation as enumerated views: view k of a sample is always the same image, so a teacher can label it once."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import ViewsSection

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
# The symmetries of a square as matrices (a, b, c, d), those of a rectangle first
_FLIPS = (
    (1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1),
    (0, -1, 1, 0), (0, 1, -1, 0), (0, 1, 1, 0), (0, -1, -1, 0),
)  # fmt: skip


def view_transforms(views: ViewsSection, ids: NDArray[np.str_], height: int, width: int) -> NDArray[np.float32]:
    """Where each pixel of each view comes from: (n, count, 8) projective parameters, drawn from the sample's id.

    Shifts are uniform in +-shift_px (pixels) on each axis, turns in +-rotation_deg (degrees) about the centre, behind
    the view's flip and quarter turn, if it has one.
    """
    every = [select_transforms(views, ids, np.full(len(ids), view), height, width) for view in range(views.count)]
    return np.stack(every, axis=1)


def select_transforms(
    views: ViewsSection, ids: NDArray[np.str_], chosen: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    """The transforms (n, 8) of one view of each sample, by its number; see `view_transforms`."""
    rows = [_transform(views, str(sample), int(view), height, width) for sample, view in zip(ids, chosen, strict=True)]
    return np.array(rows, np.float32).reshape(-1, 8)


def scale_transforms(
    transforms: NDArray[np.float32], before: tuple[int, int], after: tuple[int, int]
) -> NDArray[np.float32]:
    """The same turns and shifts (..., 8) for the images in another size: (H, W) `after` instead of `before`.

    Pixel i of n is the interval from i to i + 1, so that both sizes have one centre.
    """
    if before == after:
        return transforms
    y, x = after[0] / before[0], after[1] / before[1]
    scale = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    matrices = np.concatenate([transforms, np.ones((*transforms.shape[:-1], 1))], axis=-1)
    moved = scale @ matrices.reshape(*transforms.shape[:-1], 3, 3) @ np.linalg.inv(scale)
    return np.asarray(moved.reshape(*transforms.shape[:-1], 9)[..., :8], np.float32)


def apply_transforms(images: Any, transforms: Any, fill: str = "black") -> Any:
    """Turn and shift images (n, H, W, C), 0 to 255, by (n, 8) transforms: bilinear, whole grey levels.

    `fill` is what lies outside: "black", or "reflect", the image mirrored at its edge.

    Every pixel depends on its own image alone, so that batches of any size and order give the same view.
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
    """The 8 parameters of `flip`, then a turn by `angle` (radians), and a shift by (dx, dy) pixels.

    `flip` is (a, b, c, d): x, y to a x + b y, c x + d y; flip and turn are about the centre.
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
