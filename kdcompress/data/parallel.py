"""Reading of images in parallel threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.pixels import Shape
from kdcompress.threads import available_cores, thread_limit

_CHUNK = 4  # images per task of a thread


def map_parallel(function: Callable[[Any], Any], items: Sequence[Any] | NDArray[Any]) -> list[Any]:
    """Apply a function to items in as many threads as there are cores.

    Pillow decodes and resizes without holding the interpreter lock.

    Args:
        function: Function of one item.
        items: The items.

    Returns:
        Results, in order.
    """
    return list(_pool().map(function, items))


def read_parallel(read: Callable[[int], NDArray[np.uint8]], n: int, shape: Shape) -> NDArray[np.uint8]:
    """Read images in parallel into one array.

    Args:
        read: Function from a row to its image, (H, W, C).
        n: Number of images.
        shape: (H, W, C).

    Returns:
        Pixels, (n, H, W, C).
    """
    pixels = np.empty((n, *shape), np.uint8)

    def fill(begin: int) -> None:
        for row in range(begin, min(begin + _CHUNK, n)):
            pixels[row] = read(row)

    map_parallel(fill, range(0, n, _CHUNK))
    return pixels


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_limit() or available_cores(), thread_name_prefix="kdcompress-read")
