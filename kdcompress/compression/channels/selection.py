"""Choice of the channels that stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kdcompress.compression.channels.coupling import Coupling
from kdcompress.compression.channels.importance import Scores
from kdcompress.compression.channels.rebuilding import Kept

MULTIPLE = 8
"""Numbers of channels are multiples of it, which the kernels of runtimes compute in one go."""


def count_kept(size: int, share: float) -> int:
    """Compute how many channels of a group stay.

    Args:
        size: Number of channels before any were removed.
        share: Fraction of them to remove, in [0, 1].

    Returns:
        For 16 channels and more the nearest multiple of 8, at least 8; for fewer the nearest number, at least 1.
    """
    rest = size * (1 - share)
    step = MULTIPLE if size >= 2 * MULTIPLE else 1
    return min(size, max(step, step * int(rest / step + 0.5)))


def select(coupling: Coupling, scores: Scores, share: float, sizes: Mapping[str, int] | None = None) -> Kept:
    """Choose the channels of every group that stay: those of the highest scores, of equal ones the first.

    Args:
        coupling: Coupled channels of a model.
        scores: Importance of each class.
        share: Fraction of the channels of every group that is removed.
        sizes: Numbers of channels to which the share refers, by key of the group, where some were removed before.

    Returns:
        The mask over classes.
    """
    kept = coupling.all_kept()
    for group in coupling.groups:
        count = count_kept((sizes or {}).get(group.key, len(group.classes)), share)
        order = np.argsort(-scores[group.classes], kind="stable")
        kept[group.classes[order[count:]]] = False
    return kept
