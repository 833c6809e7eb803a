"""Two classes at a threshold: chosen on validation, kept to on test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import margins

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
RATES = ("sensitivity", "specificity", "f1_at_threshold")


def second_class_probability(margin: float | None) -> float | None:
    """P(second class) at a margin; None of None."""
    from scipy.special import expit

    return None if margin is None else float(expit(margin))


def choose_threshold(logits: Logits, labels: Labels) -> float | None:
    """The margin from which on an image counts as of the second class, chosen on (validation) logits (n, 2).

    It maximises Youden's J = sensitivity + specificity - 1 (Youden 1950) over the candidates, which lie halfway between
    neighbouring values of P(second class), or of the margin where P is too near 0 or 1 to tell them apart; of equal J
    the one whose P is nearest 0.5, of equally near ones the lower. Where all values are one, P is 0.5. None where the
    labels are all of one class, or a logit is not finite.
    """
    if len(np.unique(labels)) < 2 or not np.isfinite(logits).all():
        return None
    values, place = np.unique(margins(logits), return_inverse=True)
    if len(values) == 1:
        return 0.0
    second, first = (np.bincount(place[labels == one], minlength=len(values)) for one in (1, 0))
    # Between values i and i + 1: what lies above is found, what lies below is rejected
    found, rejected = second.sum() - np.cumsum(second)[:-1], np.cumsum(first)[:-1]
    youden = found * first.sum() + rejected * second.sum()  # (J + 1) times both counts, whole: equal J are equal
    best = _between(values)[youden == youden.max()]
    return float(best[np.argmin(np.abs(best))])


def _between(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    """The candidates (n - 1,) between sorted, different margins (n,)."""
    from scipy.special import expit, logit

    chances = expit(margin)
    halfway = logit((chances[:-1] + chances[1:]) / 2)
    apart = (margin[:-1] < halfway) & (halfway <= margin[1:])
    return np.where(apart, halfway, (margin[:-1] + margin[1:]) / 2)


def rates_at_threshold(logits: Logits, labels: Labels, threshold: float | None) -> dict[str, float | None]:
    """RATES in [0, 1] of logits (n, 2) where a margin >= `threshold` counts as the second class.

    Sensitivity is the fraction of the second class that is found, specificity that of the first class that is left
    alone, and F1 that of the second class. Logits that are not finite count as wrong. None without a threshold, and of
    a class without images.
    """
    if threshold is None:
        return dict.fromkeys(RATES)
    finite = np.asarray(np.isfinite(logits).all(axis=-1))
    told = np.where(finite, margins(np.where(finite[:, None], logits, 0)) >= threshold, -1)
    second, first = told[labels == 1], told[labels == 0]
    hits, alarms, misses = (int(np.sum(one)) for one in (second == 1, first == 1, second != 1))
    return {
        "sensitivity": float(np.mean(second == 1)) if len(second) else None,
        "specificity": float(np.mean(first == 0)) if len(first) else None,
        "f1_at_threshold": 2 * hits / (2 * hits + alarms + misses) if hits + alarms + misses else None,
    }
