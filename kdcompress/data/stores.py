"""Images that stay where they are until they are asked for: in files, in memory maps, one set behind another."""

from __future__ import annotations

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data.images import Shape, read_image, resize_image

Pixels: TypeAlias = NDArray[np.uint8]
Rows: TypeAlias = "slice | Sequence[int] | NDArray[np.int64]"
_AT_A_TIME = 4  # images that a thread reads before it asks for more


class LazyImages(ABC):
    """Images (n, H, W, C) uint8, indexed as an array is (by slices and by whole numbers), read at that moment."""

    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self, rows: Rows) -> Pixels:
        """The images at `rows`, in that order."""

    @abstractmethod
    def take(self, index: NDArray[np.int64]) -> LazyImages:
        """The images at `index`, still unread."""

    @property
    def content(self) -> Iterator[bytes | memoryview]:
        """What tells these images from others, piece by piece: their pixels, unless files can be told apart sooner."""
        for block in iter_blocks(self, default_batch_size(self.shape[1:])):
            yield np.ascontiguousarray(block).data


Images: TypeAlias = "Pixels | LazyImages"


class FileImages(LazyImages):
    """Image files `names` below `root`, decoded in parallel when asked for, upright, as `shape` (H, W, C).

    `digests` (n,) are the SHA-256 of the files. Errors at reading: DataError with the file's path.
    """

    def __init__(self, root: Path, names: NDArray[np.str_], shape: Shape, digests: NDArray[np.bytes_]) -> None:
        self.root, self.names, self.digests = root, names, digests
        self.shape = (len(names), *shape)

    def __getitem__(self, rows: Rows) -> Pixels:
        names, shape = self.names[rows], self.shape[1:]
        return _filled(lambda place: read_image(self.root / str(names[place]), shape), len(names), shape)

    def take(self, index: NDArray[np.int64]) -> FileImages:
        """See LazyImages.take."""
        return FileImages(self.root, self.names[index], self.shape[1:], self.digests[index])

    def with_shape(self, shape: Shape) -> FileImages:
        """The same files decoded to another size and number of channels: not a scaled copy of a scaled copy."""
        return FileImages(self.root, self.names, shape, self.digests)

    @property
    def content(self) -> Iterator[bytes | memoryview]:
        """The digests of the files."""
        yield b"files"
        yield np.ascontiguousarray(self.digests).data


class MappedImages(LazyImages):
    """Rows of an array (n, H, W) or (n, H, W, C) of uint8 that a file is mapped to."""

    def __init__(self, array: Pixels, index: NDArray[np.int64] | None = None) -> None:
        self.array, self.index = array, index
        height, width, channels = (*array.shape[1:], 1)[:3]
        self.shape = (len(array) if index is None else len(index), height, width, channels)

    def __getitem__(self, rows: Rows) -> Pixels:
        chosen = rows if self.index is None else self.index[rows]
        found: Pixels = np.asarray(self.array[chosen])
        return found.reshape(-1, *self.shape[1:])

    def take(self, index: NDArray[np.int64]) -> MappedImages:
        """See LazyImages.take."""
        return MappedImages(self.array, index if self.index is None else self.index[index])


class ResizedImages(LazyImages):
    """Other images in another size and number of channels, fitted when asked for."""

    def __init__(self, images: Images, shape: Shape) -> None:
        self.images, self.shape = images, (len(images), *shape)

    def __getitem__(self, rows: Rows) -> Pixels:
        images, shape = self.images[rows], self.shape[1:]
        return _filled(lambda place: resize_image(images[place], shape), len(images), shape)

    def take(self, index: NDArray[np.int64]) -> ResizedImages:
        """See LazyImages.take."""
        return ResizedImages(take_images(self.images, index), self.shape[1:])


class JoinedImages(LazyImages):
    """One set of images behind another, of the same size."""

    def __init__(self, first: Images, second: Images) -> None:
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])

    def __getitem__(self, rows: Rows) -> Pixels:
        index = np.arange(len(self))[rows]
        found = np.empty((len(index), *self.shape[1:]), np.uint8)
        behind = index >= len(self.first)
        found[~behind] = self.first[index[~behind]]
        found[behind] = self.second[index[behind] - len(self.first)]
        return found

    def take(self, index: NDArray[np.int64]) -> LazyImages:
        """See LazyImages.take; the order of `index` must be that of the two sets."""
        behind = index >= len(self.first)
        second = take_images(self.second, index[behind] - len(self.first))
        return JoinedImages(take_images(self.first, index[~behind]), second)


def take_images(images: Images, index: NDArray[np.int64]) -> Images:
    """The images at `index`: copied if they are in memory, unread if they are not."""
    return images.take(index) if isinstance(images, LazyImages) else images[index]


def resize_images(images: Images, shape: Shape) -> Images:
    """The images as (H, W, C) = `shape`: files are decoded to it, others converted and scaled when asked for."""
    if tuple(images.shape[1:]) == tuple(shape):
        return images
    return images.with_shape(shape) if isinstance(images, FileImages) else ResizedImages(images, shape)


def content_bytes(images: Images) -> Iterator[bytes | memoryview]:
    """What tells images from others, piece by piece; the same whether they are in memory or mapped."""
    if isinstance(images, LazyImages):
        yield from images.content
    else:
        yield np.ascontiguousarray(images).data


def iter_blocks(images: LazyImages | NDArray[Any], size: int, begin: int = 0) -> Iterator[NDArray[Any]]:
    """The images from `begin` on in blocks of `size`; of those that are not in memory, the next is read meanwhile."""
    bounds = [slice(start, start + size) for start in range(begin, len(images), size)]
    if not isinstance(images, LazyImages):
        yield from (images[rows] for rows in bounds)
        return
    with ThreadPoolExecutor(1) as ahead:
        waiting: Future[Pixels] | None = None
        for rows in bounds:
            following = ahead.submit(images.__getitem__, rows)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def map_parallel(function: Callable[[Any], Any], items: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """[function(item) for item in items], in as many threads as there are cores.

    Worth it because Pillow decodes and scales without holding Python's lock.
    """
    return list(_pool().map(function, items))


def _filled(read: Callable[[int], Pixels], n: int, shape: Shape) -> Pixels:
    """The images read(0), read(1), ... in one array, filled by all cores, a few images at a time."""
    found = np.empty((n, *shape), np.uint8)

    def fill(begin: int) -> None:
        for place in range(begin, min(begin + _AT_A_TIME, n)):
            found[place] = read(place)

    map_parallel(fill, range(0, n, _AT_A_TIME))
    return found


@functools.cache
def _pool() -> ThreadPoolExecutor:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(cores, thread_name_prefix="kdcompress-read")
