"""Quality against latency over everything that can be shipped, with the Pareto front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._pareto import Point, front, measured, sized
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import BAD, COLOURS, INK, MARKERS, MUTED, PAPER, draw, plain_ticks
from kdcompress.reporting._words import digits, percent, short, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AROUND = [(7, -4), (-7, -4), (0, 8), (0, -15), (7, 7), (-7, 7), (7, -15), (-7, -15), (14, 2), (-14, 2)]
_NEAR = 12.0  # units, between two numbers


def section(facts: Facts) -> Section:
    """Against latency where it was measured; against the size of the file before."""
    timed = measured(facts)
    points = timed or sized(facts)
    word = {"auc": "AUC"}.get(facts.metric, facts.metric)
    title = f"{word[0].upper()}{word[1:]} against {'latency' if timed or len(points) < 2 else 'size'}"
    missing = [] if timed else [f"Latencies come from `kdcompress bench {facts.folder}`."]
    if not facts.exports:
        missing.append(f"Files to compare come from `kdcompress export {facts.folder}`.")
    if len(points) < 2:
        return Section("tradeoff", title, missing=missing)
    best = _best(points)
    text = [
        "Up and to the left is better. The line joins the Pareto front: the files that no other beats in one without "
        "losing in the other. Numbers are those of the table."
    ]
    return Section(
        "tradeoff", title, text, [_figure(points, best, word, bool(timed))], [_table(points, best, word, bool(timed))],
        missing=missing,
    )  # fmt: skip


def _best(points: list[Point]) -> list[int]:
    """The front among the files that passed."""
    sound = [place for place, point in enumerate(points) if point.passed]
    return [sound[place] for place in front([(points[i].cost, points[i].quality) for i in sound])]


def _figure(points: list[Point], best: list[int], word: str, timed: bool) -> Figure:
    scale = 1 if timed else 1e-6

    def paint(axes: Axes) -> None:
        for point in points:
            colour = COLOURS[point.role] if point.passed else BAD
            marker = MARKERS[point.role] if point.passed else "x"
            axes.plot(
                point.cost * scale, 100 * point.quality, marker, color=colour, markersize=7, markeredgecolor=PAPER
            )
            if not point.passed:
                axes.lines[-1].set_markeredgecolor(BAD)
        corner = sorted((points[i].cost * scale, 100 * points[i].quality) for i in best)
        axes.plot(*zip(*corner, strict=True), color=MUTED, drawstyle="steps-post", zorder=1, linewidth=1.4)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.margins(0.14)
        axes.set_xlabel("median latency in ms, one image at a time" if timed else "MB of the file")
        axes.set_ylabel(f"{word} on test in %")
        _number(axes, [(point.cost * scale, 100 * point.quality) for point in points])

    title = f"{word} against {'latency' if timed else 'size'} of {len(points)} files"
    return Figure(draw("tradeoff", title, 280, paint), "Squares: the teacher. Dots: students. Crosses: failed parity.")


def _number(axes: Axes, places: list[tuple[float, float]]) -> None:
    """Write each point's number beside it, where no other number or point is yet."""
    axes.figure.draw_without_rendering()  # the layout decides where a point falls
    dots = [tuple(axes.transData.transform(place)) for place in places]
    taken: list[tuple[float, float]] = []
    for number, (x, y) in enumerate(dots, start=1):
        others = [*taken, *(dot for dot in dots if dot != (x, y))]

        def room(
            shift: tuple[float, float], x: float = x, y: float = y, others: list[tuple[float, float]] = others
        ) -> float:
            return min((max(abs(x + shift[0] - a), abs(y + shift[1] + 4 - b)) for a, b in others), default=_NEAR)

        free = next((shift for shift in _AROUND if room(shift) >= _NEAR), max(_AROUND, key=room))
        taken.append((x + free[0], y + free[1] + 4))
        side = "left" if free[0] > 0 else "right" if free[0] < 0 else "center"
        axes.annotate(
            str(number), places[number - 1], free, textcoords="offset points", ha=side, color=INK, fontsize=10
        )


def _table(points: list[Point], best: list[int], word: str, timed: bool) -> Table:
    rows = []
    for place, point in enumerate(points):
        standing = "on the front" if place in best else "" if point.passed else "failed parity"
        known = "" if point.size is None else size(point.size)
        first = [digits(point.cost)] if timed else []
        name = f"{place + 1} {short(point.name, 40)}"
        rows.append([name, point.runtime, standing, *first, percent(point.quality), known])
    head = ["file", "runtime" if timed else "format", "front", *(["p50, ms"] if timed else []), word, "size"]
    return Table("The points of the figure", head, rows, names=3)
