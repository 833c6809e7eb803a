"""Confusions of teacher and student: what is taken for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import BAD, COLOURS, INK, WIDTH, draw
from kdcompress.reporting._words import clean, short, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 24  # classes in the figure
_NUMBERED = 12  # classes up to which the cells hold their counts
_PAIRS = 40  # rows of the table


def section(facts: Facts) -> Section | None:
    """A matrix for each of the two, and the pairs that are confused most."""
    if facts.outputs is None:
        return None
    matrices = {role: confusions(facts, role) for role in ("teacher", "student")}
    shown = _worst(matrices, len(facts.classes))
    names = [facts.classes[index] for index in shown]
    figures = [_figure(role, matrix[np.ix_(shown, shown)], names) for role, matrix in matrices.items()]
    text = ["Rows: what an image is. Columns: what it was taken for. Off the diagonal are the errors."]
    if len(shown) < len(facts.classes):
        text.append(f"Of {len(facts.classes)} classes, the {_SHOWN} that are confused most.")
    return Section("confusion", "Confusions", text, figures, [_table(facts, matrices)])


def confusions(facts: Facts, role: str) -> NDArray[np.int64]:
    """Counts (classes, classes + 1) by true class and answer; the last column counts answers that are none."""
    classes = len(facts.classes)
    matrix = np.zeros((classes, classes + 1), np.int64)
    np.add.at(matrix, (facts.finished.labels, facts.answers(role)), 1)
    return matrix


def _worst(matrices: dict[str, NDArray[np.int64]], classes: int) -> list[int]:
    errors = sum(np.asarray(m[:, :classes]) - np.diag(np.diag(m[:, :classes])) for m in matrices.values())
    involved = np.asarray(errors).sum(axis=0) + np.asarray(errors).sum(axis=1)
    return sorted(np.argsort(-involved, kind="stable")[:_SHOWN].tolist())


def _figure(role: str, matrix: NDArray[np.int64], names: list[str]) -> Figure:
    n = len(names)
    look = _look(names)

    def paint(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        totals = np.maximum(matrix.sum(axis=1), 1)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            count = int(matrix[row, column])
            colour = COLOURS[role] if row == column else BAD
            # The root, lest the errors, which are few, cannot be seen
            strength = 0.16 + 0.42 * float(np.sqrt(count / totals[row]))
            axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=strength))
            if n <= _NUMBERED:
                axes.text(column, row, str(count), ha="center", va="center", fontsize=11 if n < 7 else 9, color=INK)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xlabel=f"{role}'s answer", ylabel="truth")
        axes.grid(False)
        # The layout does not foresee that a square is narrower than its place
        axes.figure.get_layout_engine().set(rect=(0.03, 0, 0.97, 1))
        _name(axes, look)

    # As high as the square that the labels leave room for
    height = WIDTH - 22 - look.longest + (look.longest if look.upright else look.size) + 28
    svg = draw(f"confusion-{role}", f"Confusions of the {role}", height, paint)
    return Figure(svg, f"The {role}'s confusions")


@dataclass(frozen=True)
class _Look:
    """How the classes are named along the axes; `longest` is about how wide the longest label is, in units."""

    labels: list[str]
    size: int
    upright: bool
    longest: float


def _look(names: list[str]) -> _Look:
    size, most = (11, 14) if len(names) <= _NUMBERED else (8, 11)
    labels = [short(name, most) for name in names]
    longest = max(map(len, labels), default=0)
    upright = longest > 2 and (len(names) > _NUMBERED or sum(map(len, labels)) > 40)
    return _Look(labels, size, upright, 0.6 * size * longest)


def _name(axes: Axes, look: _Look) -> None:
    axes.set_xticks(range(len(look.labels)), look.labels, fontsize=look.size, rotation=90 if look.upright else 0)
    axes.set_yticks(range(len(look.labels)), look.labels, fontsize=look.size)
    axes.tick_params(length=0)


def _table(facts: Facts, matrices: dict[str, NDArray[np.int64]]) -> Table:
    teacher, student = matrices["teacher"], matrices["student"]
    both = teacher + student
    np.fill_diagonal(both[:, :-1], 0)
    order = np.argsort(-both, axis=None, kind="stable")[: np.count_nonzero(both)]
    pairs = [divmod(int(place), both.shape[1]) for place in order]
    rows = []
    for truth, answer in pairs[:_PAIRS]:
        names = [clean(facts.class_name(truth)), clean(facts.class_name(answer))]
        counts = [whole(float(matrix[truth, answer])) for matrix in (teacher, student)]
        rows.append([*names, *counts])
    caption = (
        f"The {_PAIRS} pairs most confused, of {len(pairs)}" if len(pairs) > _PAIRS else "Every pair that was confused"
    )
    return Table(f"{caption}, in images", ["truth", "taken for", "by the teacher", "by the student"], rows, names=2)
