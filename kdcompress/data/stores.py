"""Image stores that read on access: image files, memory maps and concatenated images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings, Resize
from kdcompress.data.images import read_image
from kdcompress.data.parallel import read_parallel
from kdcompress.data.pixels import Shape

Pixels: TypeAlias = NDArray[np.uint8]
Rows: TypeAlias = "slice | Sequence[int] | NDArray[np.int64]"


class LazyImages(ABC):
    """Images (n, H, W, C) uint8 that are read when they are indexed with a slice or integers, as an array is."""

    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, rows: Rows) -> Pixels:
        """Read the images at `rows`, in that order."""

    @abstractmethod
    def take(self, index: NDArray[np.int64]) -> LazyImages:
        """Select images without reading them.

        Args:
            index: Row indices.

        Returns:
            The images, in that order.
        """

    @property
    def content(self) -> Iterator[bytes | memoryview]:
        """Blocks of bytes that identify the images: their pixels, unless a subclass knows digests of files."""
        for block in iter_blocks(self, default_batch_size(self.shape[1:])):
            yield np.ascontiguousarray(block).data


Images: TypeAlias = "Pixels | LazyImages"


class FileImages(LazyImages):
    """Image files that are decoded in parallel, upright and resized. Reading raises DataError for a damaged file.

    Args:
        root: Folder of the files.
        names: Paths relative to `root`, (n,).
        shape: (H, W, C) of the decoded images.
        rows: Their rows of the index, (n,), with the fields "sha256" of the files, "pixels" and "look".
        settings: How they are converted.
    """

    def __init__(
        self,
        root: Path,
        names: NDArray[np.str_],
        shape: Shape,
        rows: NDArray[np.void],
        settings: ImageSettings = DEFAULT_IMAGE_SETTINGS,
    ) -> None:
        self.root, self.names, self.rows, self.settings = root, names, rows, settings
        self.shape = (len(names), *shape)

    def __getitem__(self, rows: Rows) -> Pixels:
        names, shape, settings = self.names[rows], self.shape[1:], self.settings
        return read_parallel(lambda row: read_image(self.root / str(names[row]), shape, settings), len(names), shape)

    def take(self, index: NDArray[np.int64]) -> FileImages:
        """Select images; see `LazyImages.take`."""
        return FileImages(self.root, self.names[index], self.shape[1:], self.rows[index], self.settings)

    def with_shape(self, shape: Shape, resize: Resize) -> FileImages:
        """Decode the same files to another shape, instead of resizing decoded images.

        Args:
            shape: (H, W, C).
            resize: How another aspect ratio is resized.

        Returns:
            The images.
        """
        settings = self.settings.model_copy(update={"resize": resize})
        return FileImages(self.root, self.names, shape, self.rows, settings)

    @property
    def content(self) -> Iterator[bytes | memoryview]:
        """The digests of the files, and the settings that influence their pixels."""
        yield b"files"
        yield np.ascontiguousarray(self.rows["sha256"]).data
        if self.rows["clear"].any():
            yield f"on {self.settings.background_colour}".encode()
        if self.settings.scale is not None or not np.isin(self.rows["white"], (0, 255, 65535)).all():
            yield f"times {self.settings.scale}".encode()
        if self.settings.resize != "squash":
            yield self.settings.resize.encode()


class MappedImages(LazyImages):
    """Rows of a memory-mapped array.

    Args:
        array: (n, H, W) or (n, H, W, C), uint8.
        index: Rows to select; all by default.
    """

    def __init__(self, array: Pixels, index: NDArray[np.int64] | None = None) -> None:
        self.array, self.index = array, index
        height, width, channels = (*array.shape[1:], 1)[:3]
        self.shape = (len(array) if index is None else len(index), height, width, channels)

    def __getitem__(self, rows: Rows) -> Pixels:
        selected = rows if self.index is None else self.index[rows]
        pixels: Pixels = np.asarray(self.array[selected])
        return pixels.reshape(-1, *self.shape[1:])

    def take(self, index: NDArray[np.int64]) -> MappedImages:
        """Select images; see `LazyImages.take`."""
        return MappedImages(self.array, index if self.index is None else self.index[index])


class JoinedImages(LazyImages):
    """Two sets of images of the same size, one after the other.

    Args:
        first: The first set.
        second: The second set.
    """

    def __init__(self, first: Images, second: Images) -> None:
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])

    def __getitem__(self, rows: Rows) -> Pixels:
        index = np.arange(len(self))[rows]
        pixels = np.empty((len(index), *self.shape[1:]), np.uint8)
        is_second = index >= len(self.first)
        pixels[~is_second] = self.first[index[~is_second]]
        pixels[is_second] = self.second[index[is_second] - len(self.first)]
        return pixels

    def take(self, index: NDArray[np.int64]) -> LazyImages:
        """Select images; in `index`, rows of the first set must precede those of the second."""
        is_second = index >= len(self.first)
        second = take_images(self.second, index[is_second] - len(self.first))
        return JoinedImages(take_images(self.first, index[~is_second]), second)


def take_images(images: Images, index: NDArray[np.int64]) -> Images:
    """Select images, without reading lazy ones.

    Args:
        images: Array or lazy images.
        index: Row indices.

    Returns:
        The images, in that order.
    """
    return images.take(index) if isinstance(images, LazyImages) else images[index]


def content_bytes(images: Images) -> Iterator[bytes | memoryview]:
    """Yield blocks of bytes that identify images, the same for arrays in memory and memory maps.

    Args:
        images: Array or lazy images.

    Yields:
        Pixels, or the digests of image files.
    """
    if isinstance(images, LazyImages):
        yield from images.content
    else:
        yield np.ascontiguousarray(images).data


def iter_blocks(
    images: LazyImages | NDArray[Any], size: int, begin: int = 0, end: int | None = None
) -> Iterator[NDArray[Any]]:
    """Iterate over images in blocks; of lazy images, the next block is read in the background.

    Args:
        images: Array or lazy images.
        size: Images per block.
        begin: First row.
        end: Row behind the last one; all by default.

    Yields:
        Blocks, (size, H, W, C); the last one may be smaller.
    """
    end = len(images) if end is None else end
    bounds = [slice(start, min(start + size, end)) for start in range(begin, end, size)]
    if not isinstance(images, LazyImages):
        yield from (images[rows] for rows in bounds)
        return
    with ThreadPoolExecutor(1) as reader:
        pending: Future[Pixels] | None = None
        for rows in bounds:
            following = reader.submit(images.__getitem__, rows)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()
