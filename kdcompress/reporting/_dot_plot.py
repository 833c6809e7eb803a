"""Dot plots with one row per name: how the models compare by class or by run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kdcompress.formatting import truncate
from kdcompress.reporting._svg import COLOURS, MARKERS, MUTED, draw, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 19  # units


def dot_plot(
    name: str,
    title: str,
    label: str,
    names: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    max_length: int = 18,
) -> str:
    """Draw a dot plot.

    Args:
        name: Prefix of the SVG's ids, unique on the page.
        title: Accessible title.
        label: Label of the horizontal axis.
        names: Row labels, from the top.
        values: By role, a value for each row; None draws no dot.
        max_length: Characters of a row label.

    Returns:
        The SVG.
    """

    def paint(axes: Axes) -> None:
        for row in range(len(names)):
            known = [value for column in values.values() if (value := column[row]) is not None]
            if known:
                axes.plot([min(known), max(known)], [-row, -row], color=MUTED, linewidth=1, zorder=1)
        for role, column in values.items():
            known_rows = [row for row, value in enumerate(column) if value is not None]
            # The student's dot is small and filled, the others are rings around it: equal values stay visible
            size, face = (5.5, COLOURS[role]) if role == "student" else (9.5, "none")
            axes.plot(
                [column[row] for row in known_rows],
                [-row for row in known_rows],
                MARKERS[role],
                color=COLOURS[role],
                markersize=size,
                markerfacecolor=face,
                markeredgewidth=1.6,
                label=role,
            )
        axes.set_yticks([-row for row in range(len(names))], [truncate(text, max_length) for text in names])
        axes.set_ylim(0.6 - len(names), 0.6)
        axes.set_xlabel(label)
        legend(axes)

    return draw(name, title, 64 + _ROW * len(names), paint)
