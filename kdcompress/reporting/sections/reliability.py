"""Reliability diagram: whether a model that says 90 % is right in 90 % of the cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import COLOURS, LINES, MARKERS, MUTED, draw, legend
from kdcompress.reporting._words import MISSING, percent, points, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 15
_MANY = 10  # images from which on a bin is more than chance, and the line goes through it


@dataclass(frozen=True)
class Bin:
    """The images whose confidence lies in [low, high): how many, and their mean confidence and accuracy."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def bins(confidence: NDArray[np.float64], right: NDArray[np.bool_], count: int = _BINS) -> list[Bin]:
    """Those of `count` equal bins over [0, 1] that hold images: the calibration error's (1 is in the last)."""
    index = np.minimum((confidence * count).astype(int), count - 1)
    found = []
    for place in np.unique(index).tolist():
        own = index == place
        means = float(confidence[own].mean()), float(right[own].mean())
        found.append(Bin(place / count, (place + 1) / count, int(own.sum()), *means))
    return found


def section(facts: Facts) -> Section | None:
    """Accuracy against confidence of all models, and their calibration errors."""
    if facts.outputs is None:
        return None
    found = {role: bins(facts.confidence(role), facts.answers(role) == facts.finished.labels) for role in facts.roles}
    errors = {role: facts.measures[role]["ece"] for role in facts.roles}
    known = [f"{role} {MISSING if error is None else f'{error:.4f}'}" for role, error in errors.items()]
    text = [
        "On the diagonal a model is as often right as it says. Below it the model is too sure. Larger marks stand for "
        f"more images; faint ones, of fewer than {_MANY}, are chance.",
        f"Expected calibration error, {_BINS} bins: {', '.join(known)}.",
    ]
    return Section("reliability", "Reliability", text, [_figure(found)], [_table(found)])


def _figure(found: dict[str, list[Bin]]) -> Figure:
    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1)
        for role, own in found.items():
            many, few = [one for one in own if one.n >= _MANY], [one for one in own if one.n < _MANY]
            total = sum(one.n for one in own)
            _marks(axes, role, few, total, 0.35)
            _marks(axes, role, many, total, 0.8, label=role)
            xs, ys = [100 * one.confidence for one in many], [100 * one.accuracy for one in many]
            axes.plot(xs, ys, color=COLOURS[role], linestyle=LINES[role], linewidth=1.5)
        axes.set(xlim=(-2, 103), ylim=(-2, 103), xlabel="confidence in %", ylabel="right in %")
        legend(axes)
        for handle in axes.get_legend().legend_handles:
            handle.set_alpha(1)
            handle.set_sizes([45])

    svg = draw("reliability", "How often the models are right against how sure they are", 300, paint)
    return Figure(svg, "Accuracy against confidence, on test")


def _marks(axes: Axes, role: str, own: list[Bin], total: int, strength: float, **more: str) -> None:
    xs, ys = [100 * one.confidence for one in own], [100 * one.accuracy for one in own]
    sizes = [12 + 130 * float(np.sqrt(one.n / total)) for one in own]
    axes.scatter(xs, ys, sizes, COLOURS[role], MARKERS[role], alpha=strength, linewidths=0, **more)


def _table(found: dict[str, list[Bin]]) -> Table:
    rows = []
    for role, own in found.items():
        for one in own:
            span = f"{100 * one.low:.1f} to {100 * one.high:.1f} %"
            gap = points(one.accuracy - one.confidence)
            rows.append([role, span, whole(one.n), percent(one.confidence), percent(one.accuracy), gap])
    return Table(
        "The bins", ["model", "confidence", "images", "mean confidence", "right", "gap, points"], rows, names=2
    )
