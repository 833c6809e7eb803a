"""The order of samples in an epoch, shuffled or balanced by class."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Indices: TypeAlias = NDArray[np.int64]


def shuffled_order(rng: np.random.Generator, n_samples: int, n: int) -> Indices:
    """Draw sample indices in shuffled passes over all samples.

    Args:
        rng: Random generator.
        n_samples: Number of samples.
        n: Number of indices, more than `n_samples` for several passes.

    Returns:
        `n` or more indices, in whole passes.
    """
    return np.concatenate([rng.permutation(n_samples) for _ in range(-(-n // n_samples))])


def balanced_order(rng: np.random.Generator, labels: Indices, n: int, batch: int) -> Indices:
    """Draw sample indices so that each batch has equally many samples of every class, up to a remainder of one.

    The samples of each class are drawn in shuffled passes.

    Args:
        rng: Random generator.
        labels: Class indices of all samples.
        n: Number of indices.
        batch: Batch size.

    Returns:
        `n` or more indices, in whole batches.
    """
    classes = np.unique(labels)
    steps = -(-n // batch)
    turns = np.resize(rng.permutation(classes), steps * batch)  # the class of each drawn sample
    order = np.empty(len(turns), np.int64)
    for label in classes:
        positions, members = np.flatnonzero(turns == label), np.flatnonzero(labels == label)
        passes = [rng.permutation(members) for _ in range(-(-len(positions) // len(members)))]
        order[positions] = np.concatenate(passes)[: len(positions)] if passes else []
    return order
