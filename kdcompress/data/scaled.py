"""Images of arrays whose numbers are scaled on access."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data.ranges import check_scaled, warn_if_dark
from kdcompress.data.stores import Images, LazyImages, Pixels, Rows, iter_blocks, take_images
from kdcompress.progress import Progress


class ScaledImages(LazyImages):
    """Images whose numbers are multiplied on access.

    Args:
        images: The images, of numbers of any type.
        scale: Factor; no product may be below 0 or above 255.
    """

    def __init__(self, images: Images, scale: float) -> None:
        height, width, channels = (*images.shape[1:], 1)[:3]
        self.images, self.scale, self.shape = images, scale, (len(images), height, width, channels)

    def __getitem__(self, rows: Rows) -> Pixels:
        pixels = np.multiply(self.images[rows], self.scale, dtype=np.float64)
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).reshape(-1, *self.shape[1:])

    def take(self, index: NDArray[np.int64]) -> ScaledImages:
        """Select images; see `LazyImages.take`."""
        return ScaledImages(take_images(self.images, index), self.scale)


def scale_images(
    parts: Sequence[Images], scale: float | None, source: str, progress: Progress, remedy: str | None = None
) -> list[Images]:
    """Check the range of the numbers of all images, and scale them.

    Args:
        parts: Images, of at least one part.
        scale: The setting `data.scale`.
        source: Their file, for messages.
        progress: Receives a warning about images that are nearly black.
        remedy: What to do about these; by default the setting.

    Returns:
        The images of each part.

    Raises:
        DataError: If numbers are above 255 after scaling.
    """
    highest = max(_find_highest(images) for images in parts)
    if scale is None:
        warn_if_dark(highest, 255, f"the images of {source}", progress, remedy)
        return list(parts)
    check_scaled(highest, scale, source)
    return [ScaledImages(images, scale) for images in parts]


def _find_highest(images: Images) -> float:
    return max(float(block.max()) for block in iter_blocks(images, default_batch_size(images.shape[1:])))
