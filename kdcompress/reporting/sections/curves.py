"""Training curves: how validation went, epoch by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.reporting._facts import ROLES, Facts
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import COLOURS, INK, LINES, MARKERS, draw, legend, plain_ticks
from kdcompress.reporting._words import MISSING, digits, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "Training curves"
_COLUMNS = (
    ("loss", "loss"),
    ("from labels", "label_loss"),
    ("from targets", "targets_loss"),
    ("validation loss", "val_loss"),
)


def section(facts: Facts) -> Section:
    """The metric and the loss on validation by epoch of every phase."""
    phases = [role for role in ROLES if any(row["phase"] == role for row in facts.history)]
    if not phases:
        return Section("curves", _TITLE, missing=["No epoch has been trained yet."])
    best = _best(facts)
    of_two = any(row.get("val_auc") for row in facts.history)
    metric = ("val_auc", "AUC on validation, in %") if of_two else ("val_accuracy", "Accuracy on validation, in %")
    figures = [
        _figure(facts, phases, *metric, best),
        _figure(facts, phases, "val_loss", "Cross-entropy on validation", best),
    ]
    trainings = [one.get("training", {}) for one in (facts.recipe, facts.recipe.get("teacher", {}))]
    by = [METRIC_NAMES[training.get("choose_by", "accuracy")] for training in trainings]
    teacher = f" (of the teacher by {by[1]})" if by[0] != by[1] else ""
    text = [f"Weights are those of the epoch with a ring, the best by {by[0]}{teacher} on validation."]
    if "teacher" not in phases:
        text.append("The teacher was not trained in this run: it came trained.")
    return Section("curves", _TITLE, text if best else text[1:], figures, [_table(facts, phases)])


def _best(facts: Facts) -> dict[str, int]:
    files = facts.manifest["files"]
    best = {
        role: files[f"{role}.keras"]["best_epoch"] for role in ROLES if "best_epoch" in files.get(f"{role}.keras", {})
    }
    own = [row for row in facts.history if row["phase"] == "teacher"]
    if best and own:  # a teacher is kept apart from the run, with its best epoch's weights
        by = facts.recipe["teacher"].get("training", {}).get("choose_by", "accuracy")
        best["teacher"] = int(max(own, key=lambda row: _merit(row, by))["epoch"])
    return best


def _merit(row: dict[str, str], by: str) -> tuple[float, float]:
    """What the best epoch has most of: the metric, and the lower loss."""
    loss = float(row["val_loss"])
    return (-loss, 0.0) if by == "loss" else (float(row.get(f"val_{by}") or 0), -loss)


def _figure(facts: Facts, phases: list[str], column: str, title: str, best: dict[str, int]) -> Figure:
    scale = 1 if column == "val_loss" else 100

    def paint(axes: Axes) -> None:
        for role in phases:
            rows = [row for row in facts.history if row["phase"] == role and row.get(column)]
            epochs, values = [int(row["epoch"]) for row in rows], [scale * float(row[column]) for row in rows]
            look = {"color": COLOURS[role], "linestyle": LINES[role], "marker": MARKERS[role]}
            axes.plot(epochs, values, markersize=3.5, linewidth=1.8, label=role, **look)
            if best.get(role) in epochs:
                at = epochs.index(best[role])
                axes.plot(epochs[at], values[at], "o", markersize=10, markerfacecolor="none", markeredgecolor=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if column == "val_loss":
            axes.set_yscale("log")
            plain_ticks(axes.yaxis)
        legend(axes)

    return Figure(draw(f"curves-{column}", f"{title}, by epoch", 230, paint), title)


def _table(facts: Facts, phases: list[str]) -> Table:
    fractions = {"train accuracy": "accuracy", "validation accuracy": "val_accuracy", "validation AUC": "val_auc"}
    known = {name: key for name, key in fractions.items() if any(row.get(key) for row in facts.history)}
    rows = []
    for row in (row for role in phases for row in facts.history if row["phase"] == role):
        losses = [digits(float(row[key])) if row.get(key) else MISSING for _, key in _COLUMNS]
        metrics = [percent(float(row[key])) if row.get(key) else MISSING for key in known.values()]
        rows.append([row["phase"], row["epoch"], *losses, *metrics, f"{float(row['seconds']):.1f}"])
    head = ["phase", "epoch", *(name for name, _ in _COLUMNS), *known, "seconds"]
    return Table("Every epoch", head, rows)
