"""Rows of dots, one row a name: how the models stand, class by class or run by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kdcompress.reporting._svg import COLOURS, MARKERS, MUTED, draw, legend
from kdcompress.reporting._words import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 19  # units


def dot_rows(
    name: str,
    title: str,
    label: str,
    names: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    most: int = 18,
) -> str:
    """An SVG with a row for each of `names`, from above, and in it a dot by role at its value; None leaves it out."""

    def paint(axes: Axes) -> None:
        for row in range(len(names)):
            known = [value for column in values.values() if (value := column[row]) is not None]
            if known:
                axes.plot([min(known), max(known)], [-row, -row], color=MUTED, linewidth=1, zorder=1)
        for role, column in values.items():
            seen = [(value, -row) for row, value in enumerate(column) if value is not None]
            xs, ys = [x for x, _ in seen], [y for _, y in seen]
            # The student's is small and full, the others' are rings around it: equal values stay visible
            size, face = (5.5, COLOURS[role]) if role == "student" else (9.5, "none")
            axes.plot(
                xs,
                ys,
                MARKERS[role],
                color=COLOURS[role],
                markersize=size,
                markerfacecolor=face,
                markeredgewidth=1.6,
                label=role,
            )
        axes.set_yticks([-row for row in range(len(names))], [short(one, most) for one in names])
        axes.set_ylim(0.6 - len(names), 0.6)
        axes.set_xlabel(label)
        legend(axes)

    return draw(name, title, 64 + _ROW * len(names), paint)
