"""What the examples' tables have in common: grids, intervals, files of figures, and the machine they were made on."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress.sweeping._gain import mean_interval


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def interval_text(found: dict[str, Any]) -> str:
    """A mean and its interval in per cent, which ends at 0 and 100."""
    if found["low"] is None:
        return f"{100 * found['mean']:.2f}"
    low, high = max(0.0, found["low"]), min(1.0, found["high"])
    return f"{100 * found['mean']:.2f} ({100 * low:.2f} to {100 * high:.2f})"


def points_text(gain: dict[str, Any]) -> str:
    """A gain and its interval in points."""
    if gain["low"] is None:
        return f"{100 * gain['mean']:+.2f}"
    return f"{100 * gain['mean']:+.2f} ({100 * gain['low']:+.2f} to {100 * gain['high']:+.2f})"


def one_more_run(values: Sequence[float], resolution: float = 0.0) -> tuple[float, float]:
    """The 95 % interval in which one further run is expected: mean +- t(n - 1) * s * sqrt(1 + 1 / n).

    Args:
        values: Results of single runs, at least two.
        resolution: Least standard deviation; runs may have equal results by chance.
    """
    found = mean_interval(values, resolution)
    half = (found["high"] - found["mean"]) * (len(values) + 1) ** 0.5  # of the mean: t * s / sqrt(n)
    return found["mean"] - half, found["mean"] + half


def processor() -> str:
    """The processor and the Python that figures were made with."""
    from cpuinfo import get_cpu_info

    return f"{get_cpu_info().get('brand_raw', platform.machine())}, Python {platform.python_version()}"


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Write what was measured as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(path)


@contextmanager
def counting(work: Path) -> Iterator[None]:
    """Add the seconds inside to those of `work`: of all starts together, also of one that is stopped."""
    start = time.perf_counter()
    try:
        yield
    finally:
        work.mkdir(parents=True, exist_ok=True)
        (work / "seconds.json").write_text(json.dumps(seconds_of(work) + time.perf_counter() - start))


def seconds_of(work: Path) -> float:
    """The seconds that were counted for `work` so far."""
    spent = work / "seconds.json"
    return float(json.loads(spent.read_text())) if spent.exists() else 0.0
