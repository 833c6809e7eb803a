"""The metrics of all models as rows of a table, with their intervals."""

from __future__ import annotations

from typing import Any

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._words import MISSING, digits, percent, points, short, signed

_INTERVAL = "  95 % interval"
_NAME = 24  # characters of a class's name in a label


def metric_rows(facts: Facts) -> list[list[str]]:
    """A label, a cell for each model, and the student against the teacher; none of a run without outputs."""
    if not facts.measures:
        return []
    rows = _auc(facts) if facts.metric == "auc" else []
    rows += [_row(facts, "accuracy", "accuracy"), [_INTERVAL, *(_wilson(facts, role) for role in facts.roles), ""]]
    rows.append(_row(facts, "F1 (at 0.5)" if facts.metric == "auc" else "F1", "f1"))
    rows += _at_threshold(facts)
    errors = {role: facts.measures[role]["ece"] for role in facts.roles}
    shown = [MISSING if error is None else f"{error:.4f}" for error in errors.values()]
    change = _difference(errors)
    return [*rows, ["calibration error", *shown, MISSING if change is None else signed(change, 4)]]


def auc_interval(metrics: dict[str, Any]) -> str:
    """The interval of an AUC, of a model or of a level of agreement."""
    low, high = metrics["auc_low"], metrics["auc_high"]
    return MISSING if low is None else f"{100 * low:.2f}–{100 * high:.2f} %"


def change_interval(difference: dict[str, Any] | None) -> str:
    """The interval of a difference of AUCs, in points: −2.10 to +0.40."""
    if difference is None or difference["low"] is None:
        return MISSING
    return f"{points(difference['low'])} to {points(difference['high'])}"


def _auc(facts: Facts) -> list[list[str]]:
    over = facts.measures["student"]["auc_interval_over"]
    label = _INTERVAL if over == "images" else f"{_INTERVAL}, over {over}"
    found = change_interval(facts.comparison["auc_difference"])
    change = found if found == MISSING else f"{found} points"
    return [
        _row(facts, "AUC", "auc"),
        [label, *(auc_interval(facts.measures[role]) for role in facts.roles), change],
    ]


def _at_threshold(facts: Facts) -> list[list[str]]:
    """Nothing of a run that has no threshold: of more than two classes, or without outputs on validation."""
    chosen = [facts.measures[role].get("threshold") for role in facts.roles]
    if all(one is None for one in chosen):
        return []
    shown = [MISSING if one is None else digits(one) for one in chosen]
    images = facts.measures["student"]["threshold_images"]
    head = [f"threshold of P({short(facts.classes[1], _NAME)})", *shown, f"chosen on {images:,} validation images"]
    named = (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("F1", "f1_at_threshold"))
    return [head, *(_row(facts, f"  {label} at it", key) for label, key in named)]


def _row(facts: Facts, label: str, key: str) -> list[str]:
    measured = {role: facts.measures[role].get(key) for role in facts.roles}
    change = _difference(measured)
    told = MISSING if change is None else f"{points(change)} points"
    return [label, *(percent(value) for value in measured.values()), told]


def _difference(measured: dict[str, float | None]) -> float | None:
    now, before = measured["student"], measured["teacher"]
    return None if now is None or before is None else now - before


def _wilson(facts: Facts, role: str) -> str:
    """Wilson's interval of the accuracy: what a test split of this size can say."""
    from scipy.stats import binomtest

    n = len(facts.finished.labels)
    right = int((facts.answers(role) == facts.finished.labels).sum())
    found = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return f"{100 * found.low:.2f}–{100 * found.high:.2f} %"
