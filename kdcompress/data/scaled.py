"""Images of arrays whose numbers are scaled on access."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data.stores import Images, LazyImages, Pixels, Rows, iter_blocks, take_images


class ScaledImages(LazyImages):
    """Images whose numbers are multiplied on access.

    Args:
        images: The images.
        scale: Factor; no product may be above 255.
    """

    def __init__(self, images: Images, scale: float) -> None:
        height, width, channels = (*images.shape[1:], 1)[:3]
        self.images, self.scale, self.shape = images, scale, (len(images), height, width, channels)
        self._table = np.clip(np.rint(np.arange(256) * scale), 0, 255).astype(np.uint8)

    def __getitem__(self, rows: Rows) -> Pixels:
        pixels: Pixels = self._table[self.images[rows]]
        return pixels.reshape(-1, *self.shape[1:])

    def take(self, index: NDArray[np.int64]) -> ScaledImages:
        """Select images; see `LazyImages.take`."""
        return ScaledImages(take_images(self.images, index), self.scale)


def highest_pixel(images: Images) -> int:
    """Return the highest pixel of all images.

    Args:
        images: The images, of which there is at least one.
    """
    return max(int(block.max()) for block in iter_blocks(images, default_batch_size(images.shape[1:])))
