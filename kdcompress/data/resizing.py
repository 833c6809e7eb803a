"""Images that are resized on access, and a note about their aspect ratios."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.images import Resize
from kdcompress.data.parallel import read_parallel
from kdcompress.data.pixels import Shape, distorted, resize_pixels
from kdcompress.data.stores import FileImages, Images, LazyImages, Pixels, Rows, take_images
from kdcompress.progress import Progress


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


def note_distorted(names: NDArray[np.str_], rows: NDArray[np.void], shape: Shape, progress: Progress) -> None:
    """Note how many image files are squashed.

    Args:
        names: Their paths, (n,).
        rows: Their rows of the index, (n,).
        shape: (H, W, C) to which they are resized.
        progress: Receives the note.
    """
    if len(indices := np.flatnonzero(distorted(rows["height"], rows["width"], shape))):
        first = indices[0]
        progress.note(
            f"{len(indices):,} of {len(names):,} images have another aspect ratio than {shape[0]}x{shape[1]} and are "
            f"squashed, such as {names[first]} of {rows['height'][first]}x{rows['width'][first]}: data.resize = 'crop' "
            "or 'pad' keeps it"
        )
