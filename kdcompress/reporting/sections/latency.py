"""Latency distributions: a mean hides the slow calls that users feel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._pareto import alone
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import COLOURS, INK, PAPER, draw, plain_ticks
from kdcompress.reporting._words import MISSING, digits, listed, ms, short, size, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "Latency distributions"
_ROW = 30  # units
_TIMES = ("first_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms")


def section(facts: Facts) -> Section:
    """The distribution of every model at batch 1; all that was timed in the tables."""
    if facts.bench is None:
        command = f"`kdcompress bench {facts.folder}`"
        return Section("latency", _TITLE, missing=[f"Nothing has been timed yet: {command} times every file."])
    bench, rows = facts.bench, alone(facts.bench)
    text = [str(warning) for warning in bench.get("warnings", [])]
    if bench.get("interrupted"):
        text.insert(0, "The benchmark was interrupted: not everything was timed.")
    figures = [_figure(rows)] if rows else []
    tables = [_table(bench["models"]), *([_speedups(bench["comparisons"])] if bench["comparisons"] else [])]
    return Section("latency", _TITLE, text, figures, tables)


def _figure(rows: list[dict[str, Any]]) -> Figure:
    def paint(axes: Axes) -> None:
        for place, row in enumerate(rows):
            _distribution(axes, row, -place)
        axes.set_xscale("log")
        axes.set_ylim(0.4 - len(rows), 0.8)
        plain_ticks(axes.xaxis)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("ms for one image")

    caption = "Thin: from the 1st to the 99th percentile, a tick there. Thick: the middle half. Dot: the median."
    title = f"Latency distributions of {len(rows)} models, one image at a time"
    return Figure(draw("latency", title, 50 + _ROW * len(rows), paint), caption)


def _distribution(axes: Axes, row: dict[str, Any], y: float) -> None:
    quantiles = row.get("quantiles_ms") or []
    whole_range = len(quantiles) == 101
    median, last = row["p50_ms"], row["p99_ms"]
    first = quantiles[1] if whole_range else median
    colour = COLOURS["teacher" if row["name"] == "teacher" else "student"]
    axes.plot([first, last], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    if whole_range:
        axes.plot([quantiles[25], quantiles[75]], [y, y], color=colour, linewidth=7, solid_capstyle="butt")
    axes.plot([last, last], [y - 0.14, y + 0.14], color=colour, linewidth=1.6)
    axes.plot(median, y, "o", markersize=4.5, color=PAPER, markeredgecolor=colour)
    label = f"{short(row['name'], 22)} {row['precision'] or ''}, {row['runtime']}, {ms(median)} ms"
    axes.text(0, y + 0.25, label, transform=axes.get_yaxis_transform(), fontsize=10, color=INK)


def _table(models: list[dict[str, Any]]) -> Table:
    rows = []
    for row in models:
        peak = row.get("peak_rss_mb")
        known = [MISSING if row.get(key) is None else ms(row[key]) for key in _TIMES]
        rate, load = row.get("throughput_per_s"), row.get("load_ms")
        rows.append(
            [
                short(row["name"], 40), row["runtime"], row["precision"] or MISSING, str(row["threads"]),
                str(row["batch_size"]),
                whole(row["n"]), *known, whole(rate), ms(load), MISSING if peak is None else f"{peak:,.0f}",
                size(row.get("bytes")),
            ]
        )  # fmt: skip
    times = [key.removesuffix("_ms") for key in _TIMES]
    head = ["model", "runtime", "precision", "threads", "batch", "calls", *times, "images/s", "load", "peak MB", "size"]
    return Table("All that was timed, in ms", head, rows, names=3)


def _speedups(comparisons: list[dict[str, Any]]) -> Table:
    rows = []
    for one in comparisons:
        known = one["speedup_low"] is not None  # a benchmark broken off early has no interval
        interval = f"{digits(one['speedup_low'])} to {digits(one['speedup_high'])}" if known else MISSING
        verdict = "yes" if one["distinguishable"] else "no"
        setting = listed([f"{one['runtime']}", f"threads {one['threads']}", f"batch {one['batch_size']}"])
        name = f"{short(one['student'], 36)} {one['precision'] or ''}".strip()
        rows.append([name, setting, verdict, f"{digits(one['speedup'])}×", interval])
    head = ["student", "setting", "told apart", "speedup", "interval"]
    return Table("How much faster than the teacher", head, rows, names=3)
