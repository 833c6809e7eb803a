"""Quality against latency or size of all exported models, with the Pareto front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdcompress.formatting import digits, join_names, percent, size, truncate
from kdcompress.reporting._pareto import Point, latency_points, pareto_front, size_points
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import BAD, COLOURS, INK, MARKERS, MUTED, PAPER, draw, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OFFSETS = [(7, -4), (-7, -4), (0, 8), (0, -15), (7, 7), (-7, 7), (7, -15), (-7, -15), (14, 2), (-14, 2)]
_MIN_DISTANCE = 12.0  # units, between two numbers


def section(run: RunData) -> Section:
    """Build the section, against latency after `bench` and against the size of the files before."""
    timed = latency_points(run)
    points = timed or size_points(run)
    metric = {"auc": "AUC"}.get(run.metric, run.metric)
    title = f"{metric[0].upper()}{metric[1:]} against {'latency' if timed or len(points) < 2 else 'size'}"
    missing = [] if timed else [f"Latencies come from `kdcompress bench {run.folder}`."]
    if not run.exports:
        missing.append(f"Files to compare come from `kdcompress export {run.folder}`.")
    if len(points) < 2:
        return Section("tradeoff", title, missing=missing)
    front = find_front(points)
    text = [explain(points, front)]
    figure = make_figure(points, front, metric, bool(timed))
    return Section("tradeoff", title, text, [figure], [make_table(points, front, metric, bool(timed))], missing=missing)


def find_front(points: list[Point]) -> list[int]:
    """Find the Pareto front among the files that passed parity.

    Args:
        points: The files.

    Returns:
        Their indices.
    """
    passed = [index for index, point in enumerate(points) if point.passed]
    return [passed[index] for index in pareto_front([(points[i].cost, points[i].quality) for i in passed])]


def explain(points: list[Point], front: list[int]) -> str:
    """Describe the Pareto front in a sentence or two.

    Args:
        points: The files.
        front: Indices of those on the front.
    """
    checked = "files that passed parity" if not all(point.passed for point in points) else "files"
    criterion = "no other is at least as good in both respects and better in one"
    if len(front) == 1:
        number = front[0] + 1
        best = f"File {number} alone is on the Pareto front: none of the {checked} is better than it in either respect."
    else:
        numbers = join_names([str(index + 1) for index in sorted(front, key=lambda index: points[index].cost)])
        best = f"The line joins the Pareto front, files {numbers}: the {checked} of which {criterion}."
    return f"Up and to the left is better. {best} Numbers refer to the table."


def make_figure(points: list[Point], front: list[int], metric: str, timed: bool, key: str = "tradeoff") -> Figure:
    """Draw quality against cost.

    Args:
        points: The files.
        front: Indices of those on the Pareto front.
        metric: Name of the metric.
        timed: Whether the cost is a latency in ms; otherwise it is bytes.
        key: HTML id.
    """
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
        corners = sorted((points[i].cost * scale, 100 * points[i].quality) for i in front)
        if len(corners) > 1:
            axes.plot(*zip(*corners, strict=True), color=MUTED, drawstyle="steps-post", zorder=1, linewidth=1.4)
        axes.set_xscale("log")
        plain_ticks(axes.xaxis)
        axes.margins(0.14)
        axes.set_xlabel("median latency in ms, one image at a time" if timed else "MB of the file")
        axes.set_ylabel(f"{metric} on test in %")
        _annotate(axes, [(point.cost * scale, 100 * point.quality) for point in points])

    title = f"{metric} against {'latency' if timed else 'size'} of {len(points)} files"
    marks = ["Squares: the teacher."] if any(point.role == "teacher" for point in points) else []
    marks.append("Dots: students.")
    marks += ["Crosses: failed parity."] if not all(point.passed for point in points) else []
    return Figure(draw(key, title, 280, paint), " ".join(marks))


def _annotate(axes: Axes, points: list[tuple[float, float]]) -> None:
    """Write each point's number beside it, away from the other numbers and points."""
    axes.figure.draw_without_rendering()  # the layout determines the display coordinates
    markers = [tuple(axes.transData.transform(point)) for point in points]
    numbers: list[tuple[float, float]] = []
    for number, (x, y) in enumerate(markers, start=1):
        obstacles = [*numbers, *(marker for marker in markers if marker != (x, y))]

        def distance(
            shift: tuple[float, float], x: float = x, y: float = y, obstacles: list[tuple[float, float]] = obstacles
        ) -> float:
            gaps = (max(abs(x + shift[0] - a), abs(y + shift[1] + 4 - b)) for a, b in obstacles)
            return min(gaps, default=_MIN_DISTANCE)

        offset = next((shift for shift in _OFFSETS if distance(shift) >= _MIN_DISTANCE), max(_OFFSETS, key=distance))
        numbers.append((x + offset[0], y + offset[1] + 4))
        side = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
        axes.annotate(
            str(number), points[number - 1], offset, textcoords="offset points", ha=side, color=INK, fontsize=10
        )


def make_table(points: list[Point], front: list[int], metric: str, timed: bool) -> Table:
    """Tabulate the points of a figure, with the arguments of `make_figure`."""
    zipped = any(point.gzip for point in points)
    rows = []
    for index, point in enumerate(points):
        status = "on the front" if index in front else "" if point.passed else "failed parity"
        sizes = ["" if count is None else size(count) for count in (point.size, point.gzip)][: 2 if zipped else 1]
        latency = [digits(point.cost)] if timed else []
        name = f"{index + 1} {truncate(point.name, 40)}"
        rows.append([name, point.runtime, status, *latency, percent(point.quality), *sizes])
    head = [
        "file",
        "runtime" if timed else "format",
        "front",
        *(["p50, ms"] if timed else []),
        metric,
        "size",
        *(["gzip"] if zipped else []),
    ]
    return Table("The points of the figure", head, rows, names=3)
