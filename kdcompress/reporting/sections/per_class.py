"""Recall by class, since the mean can hide the loss of a single class."""

from __future__ import annotations

import numpy as np

from kdcompress.formatting import clean, integer, percent, points
from kdcompress.reporting._dot_plot import dot_plot
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData

_TITLE = "Change by class"
_MAX_CLASSES = 24  # in the figure


def section(run: RunData) -> Section | None:
    """Build the section: recall by class of all models; None for an unfinished run."""
    if run.outputs is None:
        return None
    changes = run.comparison["recall_change"]
    ranked = sorted((name for name in changes if changes[name] is not None), key=lambda name: (changes[name], name))
    half = _MAX_CLASSES // 2
    shown = ranked if len(ranked) <= _MAX_CLASSES else [*ranked[:half], *ranked[-half:]]
    values = {role: [100 * run.test_metrics[role]["recall"][name] for name in shown] for role in run.roles}
    caption = "Recall of each class, the largest decrease first."
    if len(shown) < len(ranked):
        caption += f" Of {len(ranked)} classes, the {half} that lost most and the {half} that lost least."
    svg = dot_plot(
        "per-class", "Recall of each class by model", "recall in % of the class's test images", shown, values
    )
    return Section("per-class", _TITLE, [_text(changes, ranked)], [Figure(svg, caption)], [_table(run, changes)])


def _text(changes: dict[str, float], ranked: list[str]) -> str:
    if not ranked or changes[ranked[0]] >= 0:
        return "No class lost recall against the teacher."
    worst, losses = ranked[0], sum(changes[name] < 0 for name in ranked)
    return (
        f"{losses} of {len(ranked)} classes lost recall against the teacher; most of all {clean(worst)}: "
        f"{points(changes[worst])} points."
    )


def _table(run: RunData, changes: dict[str, float | None]) -> Table:
    counts = np.bincount(run.finished_outputs.labels, minlength=len(run.classes))
    rows = []
    for name, count in zip(run.classes, counts, strict=True):
        recalls = [percent(run.test_metrics[role]["recall"][name]) for role in run.roles]
        rows.append([clean(name), integer(float(count)), *recalls, points(changes[name])])
    head = ["class", "test images", *run.roles, "change, points"]
    return Table("Recall by class; the change is from teacher to student", head, rows)
