"""Means and paired gains over seeds with their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float], resolution: float = 0.0) -> dict[str, Any]:
    """Compute a mean and its 95 % interval by Student's t.

    The interval is mean +- t(n - 1) * s / sqrt(n), where s is the standard deviation with n - 1 (Student 1908).

    Args:
        values: At least one value.
        resolution: Least standard deviation. Values that are equal by rounding, such as accuracies on few images, are
            not known better than that.

    Returns:
        `mean`, `low`, `high` and `n`; `low` and `high` are None for a single value.
    """
    from scipy.stats import t

    sample = np.asarray(values, np.float64)
    n, mean = len(sample), float(sample.mean())
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "n": n}
    deviation = max(float(sample.std(ddof=1)), resolution)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * deviation / np.sqrt(n))
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def paired_p(differences: Sequence[float], resolution: float) -> float:
    """Compute the two-sided p-value of the paired t-test: the chance of such a mean if the true one were 0.

    Args:
        differences: At least two values.
        resolution: As for `mean_interval`, > 0.

    Returns:
        The p-value, in [0, 1].
    """
    from scipy.stats import t

    sample = np.asarray(differences, np.float64)
    n, deviation = len(sample), max(float(sample.std(ddof=1)), resolution)
    return float(2 * t.sf(abs(sample.mean()) * np.sqrt(n) / deviation, n - 1))


def paired_gain(student: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """Compute the gain from the teacher and its interval, paired by seed, so that shared noise cancels out.

    Args:
        student: Metric by seed, fractions.
        baseline: Metric by seed of the student trained without the teacher, in the same order.

    Returns:
        `mean_interval` of the differences, and `by_seed`, the differences.
    """
    differences = [with_teacher - without for with_teacher, without in zip(student, baseline, strict=True)]
    return {**mean_interval(differences), "by_seed": differences}


def describe_gain(gain: dict[str, Any], metric: str = "accuracy") -> str:
    """State in words whether a gain was shown.

    Args:
        gain: Result of `paired_gain`.
        metric: Name of the metric.

    Returns:
        A phrase without a full stop.
    """
    points = f"{100 * gain['mean']:+.2f} points of {metric}"
    if gain["low"] is None:
        return f"{points} from the teacher in one seed: whether that is chance, several seeds tell (--seeds)"
    interval = f"95 % {100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}, {gain['n']} seeds"
    if gain["low"] > 0:
        return f"the teacher brings {points} ({interval})"
    if gain["high"] < 0:
        return f"the teacher costs {points} ({interval})"
    return f"no gain shown: {points} ({interval})"
