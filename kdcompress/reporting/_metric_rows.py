"""Table rows with the test metrics of all models and their intervals."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, digits, percent, points, signed, truncate
from kdcompress.reporting._run_data import RunData

_INTERVAL = "  95 % interval"
_NAME = 24  # characters of a class name in a label


def metric_rows(run: RunData) -> list[list[str]]:
    """Build the rows of the metrics table.

    Args:
        run: Run at any stage.

    Returns:
        Rows of a label, a cell for each model, and student against teacher; empty for an unfinished run.
    """
    if not run.test_metrics:
        return []
    rows = _auc(run) if run.metric == "auc" else []
    rows += [_row(run, "accuracy", "accuracy"), [_INTERVAL, *(_wilson(run, role) for role in run.roles), ""]]
    rows.append(_row(run, "F1 (at 0.5)" if run.metric == "auc" else "F1", "f1"))
    rows += _at_threshold(run)
    errors = {role: run.test_metrics[role]["ece"] for role in run.roles}
    cells = [MISSING if error is None else f"{error:.4f}" for error in errors.values()]
    change = _difference(errors)
    return [*rows, ["calibration error", *cells, MISSING if change is None else signed(change, 4)]]


def auc_interval(metrics: dict[str, Any]) -> str:
    """Format the interval of an AUC.

    Args:
        metrics: Metrics of a model or of a level of agreement, with `auc_low` and `auc_high`.

    Returns:
        The interval in percent, such as "91.20–94.87 %".
    """
    low, high = metrics["auc_low"], metrics["auc_high"]
    return MISSING if low is None else f"{100 * low:.2f}–{100 * high:.2f} %"


def change_interval(difference: dict[str, Any] | None) -> str:
    """Format the interval of a difference of AUCs.

    Args:
        difference: Document with `low` and `high`.

    Returns:
        The interval in points, such as "−2.10 to +0.40".
    """
    if difference is None or difference["low"] is None:
        return MISSING
    return f"{points(difference['low'])} to {points(difference['high'])}"


def _auc(run: RunData) -> list[list[str]]:
    over = run.test_metrics["student"]["auc_interval_over"]
    label = _INTERVAL if over == "images" else f"{_INTERVAL}, over {over}"
    interval = change_interval(run.comparison["auc_difference"])
    change = interval if interval == MISSING else f"{interval} points"
    return [
        _row(run, "AUC", "auc"),
        [label, *(auc_interval(run.test_metrics[role]) for role in run.roles), change],
    ]


def _at_threshold(run: RunData) -> list[list[str]]:
    """Build the rows at the chosen threshold; none with more than two classes or without validation outputs."""
    thresholds = [run.test_metrics[role].get("threshold") for role in run.roles]
    if all(threshold is None for threshold in thresholds):
        return []
    cells = [MISSING if threshold is None else digits(threshold) for threshold in thresholds]
    images = run.test_metrics["student"]["threshold_images"]
    head = [f"threshold of P({truncate(run.classes[1], _NAME)})", *cells, f"chosen on {images:,} validation images"]
    keys = (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("F1", "f1_at_threshold"))
    return [head, *(_row(run, f"  {label} at it", key) for label, key in keys)]


def _row(run: RunData, label: str, key: str) -> list[str]:
    values = {role: run.test_metrics[role].get(key) for role in run.roles}
    change = _difference(values)
    change_cell = MISSING if change is None else f"{points(change)} points"
    return [label, *(percent(value) for value in values.values()), change_cell]


def _difference(values: dict[str, float | None]) -> float | None:
    student, teacher = values["student"], values["teacher"]
    return None if student is None or teacher is None else student - teacher


def _wilson(run: RunData, role: str) -> str:
    """Format Wilson's 95 % interval of the accuracy (Wilson 1927)."""
    from scipy.stats import binomtest

    n = len(run.finished_outputs.labels)
    correct = int((run.predictions(role) == run.finished_outputs.labels).sum())
    interval = binomtest(correct, n).proportion_ci(0.95, method="wilson")
    return f"{100 * interval.low:.2f}–{100 * interval.high:.2f} %"
