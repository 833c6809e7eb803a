"""Batch sizes of inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Pixels per batch: 256 images of 28x28, 32 of 224x224x3, which limits a large network's activations to a few GB
_BATCH_PIXELS = 5_000_000
_MAX_BATCH = 256


def default_batch_size(shape: Sequence[int]) -> int:
    """Choose a batch size by the size of one image or feature.

    Args:
        shape: Shape of one item, without the batch axis.

    Returns:
        A power of two from 1 to 256.
    """
    limit = max(1, _BATCH_PIXELS // math.prod(shape))
    return min(_MAX_BATCH, 1 << (limit.bit_length() - 1))


def run_in_batches(
    run: Callable[[NDArray[Any]], NDArray[np.float32]], images: NDArray[Any], size: int | None
) -> NDArray[np.float32]:
    """Run a model on images batch by batch.

    Args:
        run: Function from a batch (b, ...) to outputs (b, ...).
        images: (n, ...), n > 0.
        size: Fixed batch size, to which the last batch is padded; None for a default size without padding.

    Returns:
        Outputs, (n, ...).
    """
    step = size or default_batch_size(images.shape[1:])
    outputs = []
    for begin in range(0, len(images), step):
        block = images[begin : begin + step]
        missing = size - len(block) if size else 0
        padded = np.concatenate([block, np.repeat(block[:1], missing, axis=0)]) if missing else block
        outputs.append(run(padded)[: len(block)])
    return np.concatenate(outputs)
