"""Agreement of annotators on images."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


def agreement_levels(votes: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64]]]:
    """Group images by the agreement of their annotators, the largest share of votes that one class received.

    Levels of different numbers of votes stay apart even if they are equal as fractions.

    Args:
        votes: Votes for each class, (n, classes). Rows without votes are left out.

    Returns:
        Pairs of a level such as "4/7" and the row indices, from the lowest to the highest agreement.
    """
    majority, total = votes.max(axis=1), votes.sum(axis=1)
    pairs = np.unique(np.stack([majority, total], axis=1)[total > 0], axis=0).tolist()
    ordered = sorted(pairs, key=lambda pair: (Fraction(pair[0], pair[1]), pair[1]))
    return [(f"{top}/{of}", np.flatnonzero((majority == top) & (total == of))) for top, of in ordered]
