"""Images by how far their annotators agree."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def agreement_levels(votes: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
    """("4/7", rows) for each level of agreement in votes (n, classes), from the least to the most agreed.

    The agreement of an image is the most votes that one class has, of all its votes. Levels of different numbers of
    votes stay apart, be they equal as fractions. Images without votes are in none.
    """
    most, total = votes.max(axis=1), votes.sum(axis=1)
    pairs = np.unique(np.stack([most, total], axis=1)[total > 0], axis=0).tolist()
    ordered = sorted(pairs, key=lambda pair: (Fraction(pair[0], pair[1]), pair[1]))
    return [(f"{top}/{of}", np.flatnonzero((most == top) & (total == of))) for top, of in ordered]
