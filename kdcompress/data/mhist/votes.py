"""Subclasses, soft labels and agreement from the votes of MHIST's annotators.

Each image was labelled HP or SSA by 7 pathologists; `ssa` (n,) is the number of votes for SSA.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASSES = ("HP", "SSA")
ANNOTATORS = 7
MAJORITY = 4
Ints = NDArray[np.int64]

# For each division: the subclasses by class, and the subclass for 0, 1, ... 7 votes for SSA
_DIVISIONS: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]] = {
    "agreement": (
        (("HP unanimous", "HP contested"), ("SSA contested", "SSA unanimous")),
        (0, 1, 1, 1, 2, 2, 2, 3),
    ),
    "votes": (
        (
            tuple(f"HP {count} of {ANNOTATORS}" for count in range(ANNOTATORS, MAJORITY - 1, -1)),
            tuple(f"SSA {count} of {ANNOTATORS}" for count in range(MAJORITY, ANNOTATORS + 1)),
        ),
        tuple(range(ANNOTATORS + 1)),
    ),
}


def votes_by_class(ssa: Ints) -> Ints:
    """Count votes by class.

    Args:
        ssa: Votes for SSA, (n,).

    Returns:
        Votes for HP and SSA, (n, 2).
    """
    return np.stack([ANNOTATORS - ssa, ssa], axis=-1)


def soft_labels(votes: Ints) -> NDArray[np.float32]:
    """Convert votes to soft labels.

    Args:
        votes: Votes by class, (n, classes).

    Returns:
        Shares of votes, (n, classes), rows that sum to 1.
    """
    return np.asarray(votes / votes.sum(axis=-1, keepdims=True), np.float32)


def majority_size(votes: Ints) -> Ints:
    """Count the annotators in the majority.

    Args:
        votes: Votes by class, (n, classes).

    Returns:
        Size of the majority, (n,), 4 to 7.
    """
    return np.asarray(votes.max(axis=-1), np.int64)


def subclasses_from_votes(ssa: Ints, division: str) -> tuple[Ints, tuple[tuple[str, ...], ...]]:
    """Derive known subclasses from votes.

    Args:
        ssa: Votes for SSA, (n,).
        division: "agreement" for a unanimous and a contested subclass of each class, "votes" for one subclass for
            every number of votes.

    Returns:
        Index of each image's subclass, (n,), counted through both classes, and the names of all subclasses by class.
    """
    names, by_votes = _DIVISIONS[division]
    return np.array(by_votes, np.int64)[ssa], names
