"""Comparison of the chosen setting with the others on validation, paired by seed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdcompress.metrics.multiple import holm
from kdcompress.sweeping._gain import CONFIDENCE, mean_interval, paired_p
from kdcompress.sweeping._space import Setting

_MAX_SETTINGS = 100  # whose pairs are compared
_NAMED = 3  # settings in a sentence


def compare_settings(values: Mapping[Setting, Sequence[float]], best: Setting, images: int) -> dict[str, Any] | None:
    """Compare the best setting with every other one.

    The best one is chosen by the same values. So p-values are corrected by Holm's method over all pairs of settings,
    not only over those with the best one: whichever had come out first would have been compared.

    Args:
        values: Metric on validation by setting, of each seed in the same order.
        best: The chosen setting.
        images: Number of validation images.

    Returns:
        `correction`, `pairs`, `sentence`, and `others`, each with its setting, `difference` (the best one minus it,
        with the interval of this one comparison), the corrected `p`, and whether the best one is `shown` to be better;
        None where there is nothing to compare.
    """
    others = [setting for setting in values if setting != best]
    if not others or len(values) > _MAX_SETTINGS:
        return None
    pairs = list(itertools.combinations(values, 2))
    seeds = len(values[best])
    p_values = np.ones(len(pairs))
    if seeds > 1:
        p_values = holm(np.array([paired_p(_differences(values, *pair), 1 / images) for pair in pairs]))
    by_pair = {frozenset(pair): float(p) for pair, p in zip(pairs, p_values, strict=True)}
    rows = []
    for other in others:
        p = by_pair[frozenset((best, other))]
        difference = mean_interval(_differences(values, best, other), 1 / images)
        shown = bool(p < 1 - CONFIDENCE and difference["mean"] > 0)
        rows.append({**other.to_dict(), "difference": difference, "p": p if seeds > 1 else None, "shown": shown})
    beaten = [other for other, row in zip(others, rows, strict=True) if row["shown"]]
    any_shown = bool(min(p_values) < 1 - CONFIDENCE)
    sentence = _describe(best, beaten, others, any_shown, seeds, len(pairs))
    return {"correction": "Holm", "pairs": len(pairs), "sentence": sentence, "others": rows}


def _differences(values: Mapping[Setting, Sequence[float]], first: Setting, second: Setting) -> list[float]:
    return [one - other for one, other in zip(values[first], values[second], strict=True)]


def _describe(
    best: Setting, beaten: list[Setting], others: list[Setting], any_shown: bool, seeds: int, pairs: int
) -> str:
    """Say whether the best setting is shown to be better, and than which."""
    name = _name(best)
    if seeds < 2:
        return f"{name} is best on validation in one seed: whether that is chance, several seeds tell (--seeds)"
    over = f" over {pairs} pairs" if pairs > 1 else ""
    how = f"paired over {seeds} seeds, Holm's correction{over}" if pairs > 1 else f"paired over {seeds} seeds"
    if not any_shown:
        return f"none of the {len(others) + 1} settings is shown to be better than another on validation ({how})"
    if not beaten:
        return f"{name} is best on validation, and not shown to be better than any other ({how})"
    if len(beaten) == len(others):
        than = _name(others[0]) if len(others) == 1 else f"each of the {len(others)} others"
        return f"{name} is shown to be better on validation than {than} ({how})"
    return (
        f"{name} is shown to be better on validation than {_names(beaten)}, not than "
        f"{_names([other for other in others if other not in beaten])} ({how})"
    )


def _name(setting: Setting) -> str:
    return "the student without a teacher" if setting.method == "none" else str(setting)


def _names(settings: list[Setting]) -> str:
    """Name a few settings, and count the rest."""
    shown = [_name(setting) for setting in settings[:_NAMED]]
    if len(settings) > _NAMED:
        return f"{', '.join(shown)} and {len(settings) - _NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
