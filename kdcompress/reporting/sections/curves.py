"""Training curves: metric and loss on validation by epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress.formatting import MISSING, digits, percent
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import ROLES, RunData
from kdcompress.reporting._svg import COLOURS, INK, LINES, MARKERS, draw, legend, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "Training curves"
_LIKE = ("student", "baseline", "teacher")  # whose styles the steps of a compression take in turn
_ASSISTANTS = "Dvp"
_COLUMNS = (
    ("loss", "loss"),
    ("from labels", "label_loss"),
    ("from targets", "targets_loss"),
    ("validation loss", "val_loss"),
)


def section(run: RunData) -> Section:
    """Build the section: metric and loss on validation by epoch of every phase."""
    trained = list(dict.fromkeys(row["phase"] for row in run.history))
    phases = sorted(trained, key=lambda phase: ROLES.index(phase) if phase in ROLES else len(ROLES))
    if not phases:
        return Section("curves", _TITLE, missing=["No epoch has been trained yet."])
    best = _best(run)
    binary = any(row.get("val_auc") for row in run.history)
    metric = ("val_auc", "AUC on validation, in %") if binary else ("val_accuracy", "Accuracy on validation, in %")
    figures = [
        _figure(run, phases, *metric, best),
        _figure(run, phases, "val_loss", "Cross-entropy on validation", best),
    ]
    student, teacher = (_selection_metric(part) for part in (run.recipe, run.recipe.get("teacher", {})))
    of_teacher = f" (of the teacher by {METRIC_NAMES[teacher]})" if teacher != student else ""
    best_by = f"{METRIC_NAMES[student]}{of_teacher}"
    text = [f"A ring marks the epoch whose weights were kept, the best by {best_by} on validation."]
    if "teacher" not in phases and run.compression is None:
        text.append("The teacher was already trained before this run.")
    return Section("curves", _TITLE, text if best else text[1:], figures, [_table(run, phases)])


def _best(run: RunData) -> dict[str, int]:
    files = run.manifest["files"]
    best = {
        role: files[f"{role}.keras"]["best_epoch"] for role in ROLES if "best_epoch" in files.get(f"{role}.keras", {})
    }
    # The manifest has neither the teacher's file, which is in the cache, nor those between the steps of a compression
    for phase in {row["phase"] for row in run.history if row["phase"] not in ("student", "baseline")}:
        section = _section(run.recipe, phase)
        if best or phase != "teacher":
            best[phase] = _best_epoch(run, phase, _selection_metric(section))
    return best


def _section(recipe: dict[str, Any], phase: str) -> dict[str, Any]:
    """Return the section of the recipe whose `training` a phase had."""
    if phase == "teacher":
        return dict(recipe["teacher"])
    name, _, number = phase.partition("-")
    if name != "assistant":
        return recipe
    found = recipe["assistant"]
    section = found[int(number) - 1] if number else found
    return dict(section) if "training" in section else recipe


def _best_epoch(run: RunData, phase: str, metric: str) -> int:
    rows = [row for row in run.history if row["phase"] == phase]
    return int(max(rows, key=lambda row: _score(row, metric))["epoch"])


def _selection_metric(section: dict[str, Any]) -> str:
    metric: str = section.get("training", {}).get("choose_by", "accuracy")
    return metric


def _score(row: dict[str, str], metric: str) -> tuple[float, float]:
    """Compute the key by which the best epoch is chosen: the metric, then the lower loss."""
    loss = float(row["val_loss"])
    return (-loss, 0.0) if metric == "loss" else (float(row.get(f"val_{metric}") or 0), -loss)


def _figure(run: RunData, phases: list[str], column: str, title: str, best: dict[str, int]) -> Figure:
    scale = 1 if column == "val_loss" else 100

    def paint(axes: Axes) -> None:
        for number, role in enumerate(phases):
            rows = [row for row in run.history if row["phase"] == role and row.get(column)]
            epochs, values = [int(row["epoch"]) for row in rows], [scale * float(row[column]) for row in rows]
            like = role if role in ROLES else _LIKE[number % len(_LIKE)]
            style = {"color": COLOURS[like], "linestyle": LINES[like], "marker": MARKERS[like]}
            if role.startswith("assistant"):
                style = {"color": INK, "linestyle": "-.", "marker": _ASSISTANTS[number % len(_ASSISTANTS)]}
            axes.plot(epochs, values, markersize=3.5, linewidth=1.8, label=role, **style)
            if best.get(role) in epochs:
                index = epochs.index(best[role])
                axes.plot(epochs[index], values[index], "o", markersize=10, markerfacecolor="none", markeredgecolor=INK)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if column == "val_loss":
            axes.set_yscale("log")
            plain_ticks(axes.yaxis)
        legend(axes)

    return Figure(draw(f"curves-{column}", f"{title}, by epoch", 230, paint), title)


def _table(run: RunData, phases: list[str]) -> Table:
    fractions = {"train accuracy": "accuracy", "validation accuracy": "val_accuracy", "validation AUC": "val_auc"}
    present = {name: key for name, key in fractions.items() if any(row.get(key) for row in run.history)}
    rows = []
    for row in (row for role in phases for row in run.history if row["phase"] == role):
        losses = [digits(float(row[key])) if row.get(key) else MISSING for _, key in _COLUMNS]
        metrics = [percent(float(row[key])) if row.get(key) else MISSING for key in present.values()]
        rows.append([row["phase"], row["epoch"], *losses, *metrics, f"{float(row['seconds']):.1f}"])
    head = ["phase", "epoch", *(name for name, _ in _COLUMNS), *present, "seconds"]
    return Table("Every epoch", head, rows)
