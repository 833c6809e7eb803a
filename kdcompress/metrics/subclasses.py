"""Usage of subclasses: their shares, unused subclasses, and agreement with known ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DIED = 0.01  # share of its class's images below which a subclass counts as unused


def subclass_usage(
    assigned: NDArray[np.int64], sizes: NDArray[np.int64], known: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Measure how the subclasses that images were assigned to are used.

    Args:
        assigned: Subclass of each image, counted through all classes, (n,).
        sizes: Number of subclasses of each class.
        known: Known subclass of each image, (n,), or None.

    Returns:
        `shares`: by class, the fraction of the class's images in each subclass.
        `utilisation`: by class, the entropy of the shares over log(subclasses), 1 for equal shares and 0 for a single
        used subclass; None for a class with one subclass or without images.
        `died`: indices of the subclasses with a share below 1 %.
        `agreement`: fraction of images in their known subclass under the best one-to-one matching of subclasses
        (Hungarian method); None without known ones.
    """
    counts = np.bincount(assigned, minlength=int(sizes.sum()))
    ends = np.cumsum(sizes)
    shares, utilisation, died = [], [], []
    for size, end in zip(sizes, ends, strict=True):
        class_counts = counts[end - size : end]
        total = int(class_counts.sum())
        share = class_counts / total if total else np.zeros(size)
        shares.append([float(value) for value in share])
        utilisation.append(_normalized_entropy(share) if size > 1 and total else None)
        died += [int(end - size + index) for index in range(size) if total and share[index] < DIED]
    return {"shares": shares, "utilisation": utilisation, "died": died, "agreement": _agreement(assigned, known)}


def _normalized_entropy(share: NDArray[np.float64]) -> float:
    used = share[share > 0]
    return float(-(used * np.log(used)).sum() / np.log(len(share)))


def _agreement(assigned: NDArray[np.int64], known: NDArray[np.int64] | None) -> float | None:
    if known is None:
        return None
    from scipy.optimize import linear_sum_assignment

    n = int(max(assigned.max(), known.max())) + 1
    contingency = np.bincount(assigned * n + known, minlength=n * n).reshape(n, n)
    rows, columns = linear_sum_assignment(-contingency)
    return float(contingency[rows, columns].sum() / len(assigned))
