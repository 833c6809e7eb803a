"""Latency distributions, since a mean hides the slow calls that users notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress.formatting import MISSING, digits, integer, join_names, ms, sentence, size, truncate
from kdcompress.reporting._names import shorten_paths
from kdcompress.reporting._pareto import single_image_rows
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import COLOURS, INK, PAPER, draw, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "Latency distributions"
_ROW = 30  # units
_TIMES = ("p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms")
_SETTING = ("model", "runtime", "precision", "threads", "batch")


def section(run: RunData) -> Section:
    """Build the section: distributions at batch size 1, and tables of all measurements."""
    if run.bench is None:
        command = f"`kdcompress bench {run.folder}`"
        return Section("latency", _TITLE, missing=[f"Nothing has been timed yet: {command} times every file."])
    bench, rows = run.bench, single_image_rows(run.bench)
    warnings = [sentence(warning) for warning in bench.get("warnings", [])]
    if bench.get("interrupted"):
        warnings.insert(0, "The benchmark was interrupted: not everything was timed.")
    missing = [f"Not timed: {shorten_paths(skipped, run.recipe)}." for skipped in bench.get("skipped", [])]
    figures = [_figure(rows)] if rows else []
    models = bench["models"]
    tables = [_times(models), _loading(models), *([_speedups(bench["comparisons"])] if bench["comparisons"] else [])]
    return Section("latency", _TITLE, figures=figures, tables=tables, missing=missing, warnings=warnings)


def _figure(rows: list[dict[str, Any]]) -> Figure:
    def paint(axes: Axes) -> None:
        for index, row in enumerate(rows):
            _draw_distribution(axes, row, -index)
        axes.set_xscale("log")
        axes.set_ylim(0.4 - len(rows), 0.8)
        plain_ticks(axes.xaxis)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("ms for one image")

    caption = "Thin line: 1st to 99th percentile, with a tick at the 99th. Thick: the middle half. Dot: the median."
    title = f"Latency distributions of {len(rows)} models, one image at a time"
    return Figure(draw("latency", title, 50 + _ROW * len(rows), paint), caption)


def _draw_distribution(axes: Axes, row: dict[str, Any], y: float) -> None:
    percentiles = row.get("quantiles_ms") or []
    complete = len(percentiles) == 101
    median, high = row["p50_ms"], row["p99_ms"]
    low = percentiles[1] if complete else median
    colour = COLOURS["teacher" if row["name"] == "teacher" else "student"]
    axes.plot([low, high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    if complete:
        axes.plot([percentiles[25], percentiles[75]], [y, y], color=colour, linewidth=7, solid_capstyle="butt")
    axes.plot([high, high], [y - 0.14, y + 0.14], color=colour, linewidth=1.6)
    axes.plot(median, y, "o", markersize=4.5, color=PAPER, markeredgecolor=colour)
    name = f"{truncate(row['name'], 22)} {row['precision'] or ''}".strip()
    label = f"{name}, {row['runtime']}, {ms(median)} ms"
    axes.text(0, y + 0.25, label, transform=axes.get_yaxis_transform(), fontsize=10, color=INK)


def _times(models: list[dict[str, Any]]) -> Table:
    rows = [[*_setting(row), integer(row["n"]), *(ms(row.get(key)) for key in _TIMES)] for row in models]
    head = [*_SETTING, "calls", *(key.removesuffix("_ms") for key in _TIMES)]
    return Table("Times of a call, in ms", head, rows, names=3)


def _loading(models: list[dict[str, Any]]) -> Table:
    rows = []
    for row in models:
        load, first = ms(row.get("load_ms")), ms(row.get("first_ms"))
        rate, peak = integer(row.get("throughput_per_s")), integer(row.get("peak_rss_mb"))
        rows.append([*_setting(row), rate, load, first, peak, size(row.get("bytes"))])
    head = [*_SETTING, "images/s", "load, ms", "first call, ms", "peak MB", "size"]
    return Table("Throughput, and loading in a process of its own", head, rows, names=3)


def _setting(row: dict[str, Any]) -> list[str]:
    name, precision = truncate(row["name"], 40), row["precision"] or MISSING
    return [name, row["runtime"], precision, str(row["threads"]), str(row["batch_size"])]


def _speedups(comparisons: list[dict[str, Any]]) -> Table:
    rows = []
    for comparison in comparisons:
        low, high = comparison["speedup_low"], comparison["speedup_high"]
        interval = MISSING if low is None else f"{digits(low)} to {digits(high)}"  # None if interrupted early
        verdict = "yes" if comparison["distinguishable"] else "no"
        threads, batch = f"threads {comparison['threads']}", f"batch {comparison['batch_size']}"
        runtime, reference = comparison["runtime"], comparison.get("teacher_runtime")
        if reference and reference != runtime:
            runtime = f"across runtimes: {runtime}, the teacher on {reference}"
        setting = join_names([runtime, threads, batch])
        name = f"{truncate(comparison['student'], 36)} {comparison['precision'] or ''}".strip()
        rows.append([name, setting, verdict, f"{digits(comparison['speedup'])}×", interval])
    head = ["student", "setting", "distinguishable", "speedup", "interval"]
    return Table("Speedup over the teacher", head, rows, names=3)
