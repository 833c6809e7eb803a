"""Decision threshold of two-class models: chosen on validation, applied to test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import margins

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
RATES = ("sensitivity", "specificity", "f1_at_threshold")


def second_class_probability(margin: float | None) -> float | None:
    """Convert a margin to P(second class).

    Args:
        margin: Second logit minus first, or None.

    Returns:
        Probability in [0, 1]; None for None.
    """
    from scipy.special import expit

    return None if margin is None else float(expit(margin))


def choose_threshold(logits: Logits, labels: Labels) -> float | None:
    """Choose the margin that maximises Youden's J = sensitivity + specificity - 1 (Youden 1950).

    Candidates lie halfway between neighbouring values of P(second class), or of the margin where P saturates at 0 or
    1. Among candidates of equal J, the one with P nearest 0.5 wins, then the lower one. If all margins are equal, the
    threshold is P = 0.5.

    Args:
        logits: Logits on validation, (n, 2).
        labels: (n,), 0 or 1.

    Returns:
        The margin from which a sample counts as second class; None if all labels are of one class or a logit is not
        finite.
    """
    if len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        return None
    values, index = np.unique(margins(logits), return_inverse=True)
    if len(values) == 1:
        return 0.0
    positives, negatives = (np.bincount(index[labels == label], minlength=len(values)) for label in (1, 0))
    # For a threshold between values i and i + 1
    true_positives = positives.sum() - np.cumsum(positives)[:-1]
    true_negatives = np.cumsum(negatives)[:-1]
    # (J + 1) times both counts, an integer, so that equal J compare as equal
    youden = true_positives * negatives.sum() + true_negatives * positives.sum()
    best = _candidates(values)[youden == youden.max()]
    return float(best[np.argmin(np.abs(best))])


def _candidates(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the thresholds (n - 1,) between sorted, distinct margins (n,)."""
    from scipy.special import expit, logit

    probabilities = expit(margin)
    halfway = logit((probabilities[:-1] + probabilities[1:]) / 2)
    separates = (margin[:-1] < halfway) & (halfway <= margin[1:])
    return np.where(separates, halfway, (margin[:-1] + margin[1:]) / 2)


def rates_at_threshold(logits: Logits, labels: Labels, threshold: float | None) -> dict[str, float | None]:
    """Compute sensitivity, specificity and F1 of the second class at a threshold.

    Args:
        logits: (n, 2). A row that is not finite counts as a wrong prediction.
        labels: (n,), 0 or 1.
        threshold: Margin from which a sample counts as second class, or None.

    Returns:
        RATES in [0, 1]; None without a threshold, and for rates of a class without images.
    """
    if threshold is None:
        return dict.fromkeys(RATES)
    finite = np.asarray(np.isfinite(logits).all(axis=-1))
    predicted = np.where(finite, margins(np.where(finite[:, None], logits, 0)) >= threshold, -1)
    second, first = predicted[labels == 1], predicted[labels == 0]
    hits, false_alarms, misses = (int(np.sum(mask)) for mask in (second == 1, first == 1, second != 1))
    return {
        "sensitivity": float(np.mean(second == 1)) if len(second) else None,
        "specificity": float(np.mean(first == 0)) if len(first) else None,
        "f1_at_threshold": 2 * hits / (2 * hits + false_alarms + misses) if hits + false_alarms + misses else None,
    }
