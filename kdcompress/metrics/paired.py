"""Paired difference of two models' metric on the same images, with its bootstrap interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.bootstrap import CONFIDENCE, RESAMPLES, bootstrap_aucs
from kdcompress.metrics.classification import top1

_SEED = 0


def paired_difference(
    first: NDArray[np.float32], second: NDArray[np.float32], labels: NDArray[np.int64], metric: str
) -> dict[str, float | None]:
    """Compute the difference of two models' metric and its paired 95 % percentile interval.

    Args:
        first: Logits (n, classes) of one model.
        second: Logits of the other, of the same images.
        labels: (n,).
        metric: "accuracy" or "auc".

    Returns:
        {"value", "low", "high"} of first - second; all None where an AUC is undefined, `low` and `high` where the data
        are too few for an interval.
    """
    if metric == "auc":
        aucs = bootstrap_aucs({"first": first, "second": second}, labels)
        return aucs.difference("first", "second") or {"value": None, "low": None, "high": None}
    change = (top1(first) == labels).astype(np.int64) - (top1(second) == labels).astype(np.int64)
    n = len(change)
    # Of a resample, only the numbers of images matter that one of the two gets right and the other wrong
    gained, lost = int(np.sum(change > 0)), int(np.sum(change < 0))
    shares = np.array([gained, lost, n - gained - lost]) / n
    counts = np.random.default_rng(_SEED).multinomial(n, shares, RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [tail, 1 - tail])
    return {"value": (gained - lost) / n, "low": float(low), "high": float(high)}
