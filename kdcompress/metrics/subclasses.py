"""How subclasses are used: spread or died, and whether they are those that people know."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DIED = 0.01  # of its class's images, below which a subclass is not in use


def subclass_usage(
    assigned: NDArray[np.int64], sizes: NDArray[np.int64], known: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """{"shares", "utilisation", "died", "agreement"} of the subclasses (n,) that images were assigned to.

    `shares` has, by class, each subclass's fraction of the images assigned to that class; `utilisation` the entropy of
    these over log(subclasses), 1 if all are used alike and 0 if one is (None of a class with one subclass, or without
    images); `died` the numbers of subclasses below 1 %. `agreement` is the fraction of images whose subclass is the
    known one (n,), subclasses being matched one to one as fits best (Hungarian method); None without known ones.
    """
    counts = np.bincount(assigned, minlength=int(sizes.sum()))
    ends = np.cumsum(sizes)
    shares, utilisation, died = [], [], []
    for size, end in zip(sizes, ends, strict=True):
        own = counts[end - size : end]
        total = int(own.sum())
        share = own / total if total else np.zeros(size)
        shares.append([float(one) for one in share])
        utilisation.append(_spread(share) if size > 1 and total else None)
        died += [int(end - size + place) for place in range(size) if total and share[place] < DIED]
    return {"shares": shares, "utilisation": utilisation, "died": died, "agreement": _agreement(assigned, known)}


def _spread(share: NDArray[np.float64]) -> float:
    used = share[share > 0]
    return float(-(used * np.log(used)).sum() / np.log(len(share)))


def _agreement(assigned: NDArray[np.int64], known: NDArray[np.int64] | None) -> float | None:
    if known is None:
        return None
    from scipy.optimize import linear_sum_assignment

    n = int(max(assigned.max(), known.max())) + 1
    table = np.bincount(assigned * n + known, minlength=n * n).reshape(n, n)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(assigned))
