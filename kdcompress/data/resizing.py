"""Images that are resized on access."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.images import Resize
from kdcompress.data.parallel import read_parallel
from kdcompress.data.pixels import Shape, resize_pixels
from kdcompress.data.stores import FileImages, Images, LazyImages, Pixels, Rows, take_images


class ResizedImages(LazyImages):
    """Images that are converted and resized on access.

    Args:
        images: The images.
        shape: (H, W, C).
        resize: How another aspect ratio is resized.
    """

    def __init__(self, images: Images, shape: Shape, resize: Resize = "squash") -> None:
        self.images, self.shape, self.resize = images, (len(images), *shape), resize

    def __getitem__(self, rows: Rows) -> Pixels:
        images, shape = self.images[rows], self.shape[1:]
        return read_parallel(lambda row: resize_pixels(images[row], shape, self.resize), len(images), shape)

    def take(self, index: NDArray[np.int64]) -> ResizedImages:
        """Select images; see `LazyImages.take`."""
        return ResizedImages(take_images(self.images, index), self.shape[1:], self.resize)


def resize_images(images: Images, shape: Shape, resize: Resize | None = None) -> Images:
    """Resize images: files are decoded to the new shape, others are converted and resized on access.

    Args:
        images: Array or lazy images.
        shape: (H, W, C).
        resize: How another aspect ratio is resized; by default, files as they are already, others squashed.

    Returns:
        The images; unchanged if they have that shape.
    """
    is_same = tuple(images.shape[1:]) == tuple(shape)
    if isinstance(images, FileImages):
        resize = resize or images.settings.resize
        return images if is_same and resize == images.settings.resize else images.with_shape(shape, resize)
    return images if is_same else ResizedImages(images, shape, resize or "squash")
