"""How well two classes are told apart by their order alone, wherever the line between them is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auc(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float | None:
    """The area under the ROC curve of P(second class), in [0, 1]: one over all samples, ties counting a half.

    `logits` (n, 2) are ranked by the second minus the first, which ranks as the probability does. None where the labels
    are all of one class, or a logit is not finite.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        return None
    return float(roc_auc_score(labels, margins(logits)))


def margins(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The second of two logits minus the first (n,): the logit of P(second class)."""
    wide = logits.astype(np.float64)
    return np.asarray(wide[:, 1] - wide[:, 0])
