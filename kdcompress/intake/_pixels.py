"""Pixels of 0 to 255 that were stored as floating-point numbers, as Keras's readers of folders give them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.intake._store import ArrayWriter, read_array
from kdcompress.progress import Progress

_BLOCK = 256  # images
_LEAST = 50  # maximum from which numbers are taken for pixels of 0 to 255


def round_to_pixels(path: Path, progress: Progress) -> None:
    """Rewrite an array of floating-point pixels as bytes; other arrays stay as they are.

    Args:
        path: npy file of images, (n, H, W, C).
        progress: Is notified if fractions are rounded.
    """
    array = read_array(path)
    if array.dtype.kind != "f" or not len(array):
        return
    blocks = [array[begin : begin + _BLOCK] for begin in range(0, len(array), _BLOCK)]
    low, high = min(float(block.min()) for block in blocks), max(float(block.max()) for block in blocks)
    if low < 0 or not _LEAST <= high <= 255:
        return
    writer, whole = ArrayWriter(path.with_suffix(".part")), True
    for block in blocks:
        rounded: NDArray[Any] = np.rint(block)
        whole = whole and bool((rounded == block).all())
        writer.append(rounded.astype(np.uint8))
    writer.close()
    del array, blocks
    writer.path.replace(path)
    if not whole:
        progress.note("data: pixels are rounded to whole numbers")
