"""Area under the ROC curve of two-class logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auc(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float | None:
    """Compute the area under the ROC curve of P(second class); ties count one half.

    Samples are ranked by the margin, the second logit minus the first, which orders them as the probability does.

    Args:
        logits: (n, 2).
        labels: (n,), 0 or 1.

    Returns:
        AUC in [0, 1]; None if all labels are of one class or a logit is not finite.
    """
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        return None
    return float(roc_auc_score(labels, margins(logits)))


def margins(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute the margin of each sample, which is the log-odds of the second class.

    Args:
        logits: (n, 2).

    Returns:
        Second logit minus first, (n,).
    """
    wide = logits.astype(np.float64)
    return np.asarray(wide[:, 1] - wide[:, 0])
