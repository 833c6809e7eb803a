"""Reliability diagram: accuracy against confidence (Niculescu-Mizil and Caruana 2005)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcompress.formatting import MISSING, integer, percent, points
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import COLOURS, LINES, MARKERS, MUTED, draw, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 15
_MIN_IMAGES = 10  # a bin with fewer is drawn faint and left out of the line


@dataclass(frozen=True)
class Bin:
    """Images whose confidence is in [low, high).

    Attributes:
        low: Lower edge.
        high: Upper edge.
        n: Number of images.
        confidence: Their mean confidence.
        accuracy: Their accuracy.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def calibration_bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_], count: int = _BINS) -> list[Bin]:
    """Sort predictions into equal bins over [0, 1], those of the expected calibration error.

    Args:
        confidence: Largest probability of each image, (n,); 1 belongs to the last bin.
        correct: Whether each prediction is correct, (n,).
        count: Number of bins.

    Returns:
        The bins that have images, in ascending order.
    """
    index = np.minimum((confidence * count).astype(int), count - 1)
    bins = []
    for number in np.unique(index).tolist():
        members = index == number
        means = float(confidence[members].mean()), float(correct[members].mean())
        bins.append(Bin(number / count, (number + 1) / count, int(members.sum()), *means))
    return bins


def section(run: RunData) -> Section | None:
    """Build the section: accuracy against confidence, and calibration errors; None for an unfinished run."""
    if run.outputs is None:
        return None
    correct = {role: run.predictions(role) == run.outputs.labels for role in run.roles}
    bins = {role: calibration_bins(run.confidence(role), correct[role]) for role in run.roles}
    errors = {role: run.test_metrics[role]["ece"] for role in run.roles}
    listed = [f"{role} {MISSING if error is None else f'{error:.4f}'}" for role, error in errors.items()]
    text = [
        "On the diagonal, accuracy equals confidence; below it, the model is overconfident. Larger marks stand for "
        f"more images; faint ones, of fewer than {_MIN_IMAGES}, are mostly noise.",
        f"Expected calibration error, {_BINS} bins: {', '.join(listed)}.",
    ]
    return Section("reliability", "Reliability", text, [_figure(bins)], [_table(bins)])


def _figure(bins: dict[str, list[Bin]]) -> Figure:
    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1)
        for role, members in bins.items():
            large = [member for member in members if member.n >= _MIN_IMAGES]
            small = [member for member in members if member.n < _MIN_IMAGES]
            total = sum(member.n for member in members)
            _scatter(axes, role, small, total, 0.35)
            _scatter(axes, role, large, total, 0.8, label=role)
            axes.plot(*_coordinates(large), color=COLOURS[role], linestyle=LINES[role], linewidth=1.5)
        axes.set(xlim=(-2, 103), ylim=(-2, 103), xlabel="confidence in %", ylabel="accuracy in %")
        legend(axes)
        for handle in axes.get_legend().legend_handles:
            handle.set_alpha(1)
            handle.set_sizes([45])

    svg = draw("reliability", "Accuracy of the models against their confidence", 300, paint)
    return Figure(svg, "Accuracy against confidence, on test")


def _scatter(axes: Axes, role: str, bins: list[Bin], total: int, alpha: float, **options: str) -> None:
    sizes = [12 + 130 * float(np.sqrt(member.n / total)) for member in bins]
    axes.scatter(*_coordinates(bins), sizes, COLOURS[role], MARKERS[role], alpha=alpha, linewidths=0, **options)


def _coordinates(bins: list[Bin]) -> tuple[list[float], list[float]]:
    return [100 * member.confidence for member in bins], [100 * member.accuracy for member in bins]


def _table(bins: dict[str, list[Bin]]) -> Table:
    rows = []
    for role, members in bins.items():
        for member in members:
            span = f"{100 * member.low:.1f} to {100 * member.high:.1f} %"
            gap = points(member.accuracy - member.confidence)
            rows.append([role, span, integer(member.n), percent(member.confidence), percent(member.accuracy), gap])
    head = ["model", "confidence", "images", "mean confidence", "accuracy", "gap, points"]
    return Table("The bins", head, rows, names=2)
