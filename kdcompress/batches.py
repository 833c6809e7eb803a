"""How many images go through a network at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Pixels of a batch: 256 images of 28x28, 32 of 224x224x3, which holds a big network's activations to a few GB
_BATCH_PIXELS = 5_000_000
_LARGEST_BATCH = 256


def default_batch_size(shape: Sequence[int]) -> int:
    """How many images or features of a shape go through a network at once: a power of two up to 256, fewer of large."""
    most = max(1, _BATCH_PIXELS // math.prod(shape))
    return min(_LARGEST_BATCH, 1 << (most.bit_length() - 1))


def run_in_batches(
    run: Callable[[NDArray[Any]], NDArray[np.float32]], images: NDArray[Any], size: int | None
) -> NDArray[np.float32]:
    """run(images) in batches of `size`, the last one filled up; with None in batches that memory can hold."""
    step = size or default_batch_size(images.shape[1:])
    found = []
    for begin in range(0, len(images), step):
        block = images[begin : begin + step]
        missing = size - len(block) if size else 0
        filled = np.concatenate([block, np.repeat(block[:1], missing, axis=0)]) if missing else block
        found.append(run(filled)[: len(block)])
    return np.concatenate(found)
