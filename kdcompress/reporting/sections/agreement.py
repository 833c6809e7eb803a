"""Metrics by annotator agreement: errors weigh less where the annotators themselves disagree."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, integer, percent
from kdcompress.reporting._dot_plot import dot_plot
from kdcompress.reporting._metric_rows import auc_interval
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData

_TITLE = "By annotator agreement"
_MAX_LEVELS = 24  # in the figure


def section(run: RunData) -> Section | None:
    """Build the section; None for data without the annotators' votes."""
    if not run.test_metrics or not run.test_metrics["student"]["by_agreement"]:
        return None
    levels: dict[str, list[dict[str, Any]]] = {role: run.test_metrics[role]["by_agreement"] for role in run.roles}
    key = "auc" if run.metric == "auc" else "accuracy"
    shown = {role: rows[:_MAX_LEVELS] for role, rows in levels.items()}
    values = {role: [None if row[key] is None else 100 * row[key] for row in rows] for role, rows in shown.items()}
    names = [row["agreement"] for row in shown["student"]]
    metric = "AUC" if key == "auc" else "accuracy"
    svg = dot_plot("agreement", f"{metric} by agreement of the annotators", f"{metric} in %", names, values)
    caption = f"{metric} on the test images of each level, from the lowest agreement."
    return Section("agreement", _TITLE, _text(run, levels), [Figure(svg, caption)], [_table(run, levels)])


def _text(run: RunData, levels: dict[str, list[dict[str, Any]]]) -> list[str]:
    lowest, n = levels["student"][0], sum(row["n"] for row in levels["student"])
    text = [
        "A label is the class that most annotators chose: 4/7 means that four of seven chose the same class. The lower "
        "the agreement, the less certain the label itself, and the less a model can be expected to match it; mistakes "
        "weigh most where all annotators agree."
    ]
    if lowest["n"] < n:
        text.append(f"{lowest['n']:,} of {n:,} test images have the lowest agreement, {lowest['agreement']}.")
    if (without_votes := len(run.finished_outputs.ids) - n) > 0:
        text.append(f"{without_votes:,} test images have no votes and are in no level.")
    return text


def _table(run: RunData, levels: dict[str, list[dict[str, Any]]]) -> Table:
    binary = "auc" in run.test_metrics["student"]
    rows = []
    for index in range(len(levels["student"])):
        for role, metrics in ((role, members[index]) for role, members in levels.items()):
            error = MISSING if metrics["ece"] is None else f"{metrics['ece']:.4f}"
            cells = [metrics["agreement"], role, integer(metrics["n"]), percent(metrics["accuracy"])]
            rows.append([*cells, *(_binary_cells(metrics) if binary else []), error])
    binary_head = ["AUC", "95 % interval", "F1", "sensitivity", "specificity"] if binary else []
    head = ["agreement", "model", "images", "accuracy", *binary_head, "calibration error"]
    threshold = "; sensitivity and specificity at the threshold chosen on validation" if binary else ""
    return Table(f"Metrics on test by agreement{threshold}", head, rows, names=2)


def _binary_cells(metrics: dict[str, Any]) -> list[str]:
    rates = [percent(metrics[key]) for key in ("f1", "sensitivity", "specificity")]
    return [percent(metrics["auc"]), auc_interval(metrics), *rates]
