"""What the votes of annotators make of a label: finer classes, chances, and how far they agreed.

MHIST's images were each seen by 7 pathologists, who chose HP or SSA; `ssa` (n,) is how many of them chose SSA.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASSES = ("HP", "SSA")
ANNOTATORS = 7
MAJORITY = 4
Ints = NDArray[np.int64]

# By the name of a division: the subclasses by class, and the subclass that 0, 1, ... 7 votes for SSA make
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
    """The votes for HP and for SSA (n, 2)."""
    return np.stack([ANNOTATORS - ssa, ssa], axis=-1)


def soft_labels(votes: Ints) -> NDArray[np.float32]:
    """The share of votes that each class got (n, classes), rows that sum to 1."""
    return np.asarray(votes / votes.sum(axis=-1, keepdims=True), np.float32)


def majority_size(votes: Ints) -> Ints:
    """How many annotators (n,) chose what most of them chose: 4 to 7."""
    return np.asarray(votes.max(axis=-1), np.int64)


def subclasses_from_votes(ssa: Ints, division: str) -> tuple[Ints, tuple[tuple[str, ...], ...]]:
    """The subclass of each image, counted through both classes, and the names of all subclasses by class.

    "agreement" makes unanimous and contested ones of each class, "votes" one of every number of votes. The names are
    the same whatever images there are.
    """
    names, of_votes = _DIVISIONS[division]
    return np.array(of_votes, np.int64)[ssa], names
