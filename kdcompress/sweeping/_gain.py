"""Means and paired gains over seeds, with their intervals, and the sentence that a reader needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CONFIDENCE = 0.95


def interval(values: Sequence[float]) -> dict[str, Any]:
    """{"mean", "low", "high", "n"}: the mean and its 95 % interval by Student's t; low and high are None of one value.

    mean +- t(n - 1) * s / sqrt(n), s being the standard deviation with n - 1 (Student 1908).
    """
    from scipy.stats import t

    found = np.asarray(values, np.float64)
    n, mean = len(found), float(found.mean())
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "n": n}
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * found.std(ddof=1) / np.sqrt(n))
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def paired_gain(student: Sequence[float], baseline: Sequence[float]) -> dict[str, Any]:
    """The interval of student minus baseline, seed by seed: what both share through a seed cancels out.

    Both are fractions by seed, in the same order.
    """
    differences = [mine - without for mine, without in zip(student, baseline, strict=True)]
    return {**interval(differences), "by_seed": differences}


def sentence(gain: dict[str, Any], metric: str = "accuracy") -> str:
    """The gain in words: whether the teacher was shown to bring anything at all."""
    points = f"{100 * gain['mean']:+.2f} points of {metric}"
    if gain["low"] is None:
        return f"{points} from the teacher in one seed: whether that is chance, several seeds tell (--seeds)"
    told = f"95 % {100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}, {gain['n']} seeds"
    if gain["low"] > 0:
        return f"the teacher brings {points} ({told})"
    if gain["high"] < 0:
        return f"the teacher costs {points} ({told})"
    return f"no gain shown: {points} ({told})"
