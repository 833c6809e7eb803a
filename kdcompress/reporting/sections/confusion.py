"""Confusion matrices of teacher and student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcompress.formatting import clean, integer, truncate
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import BAD, COLOURS, INK, WIDTH, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_CLASSES = 24  # in the figure
_MAX_NUMBERED = 12  # classes up to which the cells show their counts
_MAX_PAIRS = 40  # rows of the table


def section(run: RunData) -> Section | None:
    """Build the section: a matrix each, and the most confused pairs; None for an unfinished run."""
    if run.outputs is None:
        return None
    matrices = {role: confusion_matrix(run, role) for role in ("teacher", "student")}
    shown = _most_confused(matrices, len(run.classes))
    names = [run.classes[index] for index in shown]
    figures = [_figure(role, matrix[np.ix_(shown, shown)], names) for role, matrix in matrices.items()]
    text = ["Rows: true class. Columns: predicted class. Errors are off the diagonal."]
    if len(shown) < len(run.classes):
        text.append(f"Of {len(run.classes)} classes, the {_MAX_CLASSES} that are confused most.")
    return Section("confusion", "Confusions", text, figures, [_table(run, matrices)])


def confusion_matrix(run: RunData, role: str) -> NDArray[np.int64]:
    """Count the test images by true and predicted class.

    Args:
        run: A finished run.
        role: "teacher", "student" or "baseline".

    Returns:
        Counts, (classes, classes + 1); the last column counts images whose logits are not finite.
    """
    classes = len(run.classes)
    matrix = np.zeros((classes, classes + 1), np.int64)
    np.add.at(matrix, (run.finished_outputs.labels, run.predictions(role)), 1)
    return matrix


def _most_confused(matrices: dict[str, NDArray[np.int64]], classes: int) -> list[int]:
    errors = sum(np.asarray(m[:, :classes]) - np.diag(np.diag(m[:, :classes])) for m in matrices.values())
    involved = np.asarray(errors).sum(axis=0) + np.asarray(errors).sum(axis=1)
    return sorted(np.argsort(-involved, kind="stable")[:_MAX_CLASSES].tolist())


def _figure(role: str, matrix: NDArray[np.int64], names: list[str]) -> Figure:
    n = len(names)
    style = _label_style(names)

    def paint(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        totals = np.maximum(matrix.sum(axis=1), 1)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            count = int(matrix[row, column])
            colour = COLOURS[role] if row == column else BAD
            # The square root keeps the few errors visible
            opacity = 0.16 + 0.42 * float(np.sqrt(count / totals[row]))
            axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=opacity))
            if n <= _MAX_NUMBERED:
                axes.text(column, row, str(count), ha="center", va="center", fontsize=11 if n < 7 else 9, color=INK)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal")
        axes.set(xlabel=f"class predicted by the {role}", ylabel="true class")
        axes.grid(False)
        # The layout engine does not account for a square being narrower than its axes
        axes.figure.get_layout_engine().set(rect=(0.03, 0, 0.97, 1))
        _label(axes, style)

    # Height of the square that fits beside the labels
    height = WIDTH - 22 - style.max_width + (style.max_width if style.vertical else style.size) + 28
    svg = draw(f"confusion-{role}", f"Confusion matrix of the {role}", height, paint)
    return Figure(svg, f"Confusion matrix of the {role}")


@dataclass(frozen=True)
class _LabelStyle:
    """Tick labels of both axes; `max_width` is the approximate width of the longest, in units."""

    labels: list[str]
    size: int
    vertical: bool
    max_width: float


def _label_style(names: list[str]) -> _LabelStyle:
    size, max_length = (11, 14) if len(names) <= _MAX_NUMBERED else (8, 11)
    labels = [truncate(name, max_length) for name in names]
    longest = max(map(len, labels), default=0)
    vertical = longest > 2 and (len(names) > _MAX_NUMBERED or sum(map(len, labels)) > 40)
    return _LabelStyle(labels, size, vertical, 0.6 * size * longest)


def _label(axes: Axes, style: _LabelStyle) -> None:
    axes.set_xticks(range(len(style.labels)), style.labels, fontsize=style.size, rotation=90 if style.vertical else 0)
    axes.set_yticks(range(len(style.labels)), style.labels, fontsize=style.size)
    axes.tick_params(length=0)


def _table(run: RunData, matrices: dict[str, NDArray[np.int64]]) -> Table:
    teacher, student = matrices["teacher"], matrices["student"]
    both = teacher + student
    np.fill_diagonal(both[:, :-1], 0)
    order = np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]
    pairs = [divmod(int(index), both.shape[1]) for index in order]
    rows = []
    for label, prediction in pairs[:_MAX_PAIRS]:
        names = [clean(run.class_name(label)), clean(run.class_name(prediction))]
        counts = [integer(float(matrix[label, prediction])) for matrix in (teacher, student)]
        rows.append([*names, *counts])
    many = len(pairs) > _MAX_PAIRS
    caption = f"The {_MAX_PAIRS} pairs most confused, of {len(pairs)}" if many else "Every pair that was confused"
    head = ["true class", "predicted", "by the teacher", "by the student"]
    return Table(f"{caption}, in images", head, rows, names=2)
