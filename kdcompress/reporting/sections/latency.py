"""Latency distributions, since a mean hides the slow calls that users notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress.formatting import MISSING, digits, integer, join_names, ms, sentence, size, truncate
from kdcompress.reporting._pareto import single_image_rows
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import COLOURS, INK, PAPER, draw, plain_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLE = "Latency distributions"
_ROW = 30  # units
_TIMES = ("first_ms", "p50_ms", "p90_ms", "p99_ms", "max_ms", "mean_ms")


def section(run: RunData) -> Section:
    """Build the section: distributions at batch size 1, and tables of all measurements."""
    if run.bench is None:
        command = f"`kdcompress bench {run.folder}`"
        return Section("latency", _TITLE, missing=[f"Nothing has been timed yet: {command} times every file."])
    bench, rows = run.bench, single_image_rows(run.bench)
    warnings = [sentence(warning) for warning in bench.get("warnings", [])]
    if bench.get("interrupted"):
        warnings.insert(0, "The benchmark was interrupted: not everything was timed.")
    missing = [f"Not timed: {skipped}." for skipped in bench.get("skipped", [])]
    figures = [_figure(rows)] if rows else []
    tables = [_table(bench["models"]), *([_speedups(bench["comparisons"])] if bench["comparisons"] else [])]
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


def _table(models: list[dict[str, Any]]) -> Table:
    rows = []
    for row in models:
        latencies = [ms(row.get(key)) for key in _TIMES]
        rate, load, peak = row.get("throughput_per_s"), row.get("load_ms"), row.get("peak_rss_mb")
        rows.append(
            [
                truncate(row["name"], 40), row["runtime"], row["precision"] or MISSING, str(row["threads"]),
                str(row["batch_size"]),
                integer(row["n"]), *latencies, integer(rate), ms(load), integer(peak), size(row.get("bytes")),
            ]
        )  # fmt: skip
    times = [key.removesuffix("_ms") for key in _TIMES]
    head = ["model", "runtime", "precision", "threads", "batch", "calls", *times, "images/s", "load", "peak MB", "size"]
    return Table("All measurements, in ms", head, rows, names=3)


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
