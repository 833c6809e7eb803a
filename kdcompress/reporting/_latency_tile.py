"""Tile of the latency: how much faster the student is, where, and why that is not known if it is not."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, digits, ms
from kdcompress.reporting._names import ensemble_size, missing_model, runtime_name
from kdcompress.reporting._parts import Tile
from kdcompress.reporting._run_data import RunData
from kdcompress.verification.latency import LatencyPair, latency_pair, latency_problem

_LABEL = "Latency"


def latency_tile(run: RunData) -> Tile:
    """Build the tile for the latency of one image, student against teacher.

    Args:
        run: Run at any stage.

    Returns:
        The tile; a ratio across runtimes is shown only if there is no other, and says so.
    """
    if run.bench is None:
        return Tile(_LABEL, MISSING, "not measured yet", f"kdcompress bench {run.folder} measures it", "unknown")
    pair = latency_pair(run.bench)
    if pair is None:
        return Tile(_LABEL, MISSING, "not compared", _why_unknown(run, run.bench), "unknown")
    compared = next((entry for entry in run.bench["comparisons"] if _is_of(entry, pair)), None)
    speedup = compared["speedup"] if compared else 1 / pair.ratio
    across = ", across runtimes" if pair.across_runtimes else ""
    detail = _describe(pair)
    if compared and compared["speedup_low"] is not None:
        low, high = compared["speedup_low"], compared["speedup_high"]
        slower = speedup < 1 and compared["distinguishable"]
        interval = f"{digits(1 / high)} to {digits(1 / low)}" if slower else f"{digits(low)} to {digits(high)}"
        detail += f"; {'slowdown' if slower else 'speedup'} {interval}"
    if compared and not compared["distinguishable"]:
        return Tile(_LABEL, f"{digits(speedup)}×", f"no difference is shown{across}", detail, "same")
    if speedup < 1:
        return Tile(_LABEL, f"{digits(1 / speedup)}×", f"SLOWER than the teacher{across}", detail, "bad")
    return Tile(_LABEL, f"{digits(speedup)}×", f"faster than the teacher{across}", detail, "good")


def _describe(pair: LatencyPair) -> str:
    """Name both times, the runtimes and the precisions."""
    teacher, student = (f"{ms(row['p50_ms'])}" for row in (pair.teacher, pair.student))
    runtimes = [runtime_name(row["runtime"]) for row in (pair.teacher, pair.student)]
    precision = pair.student["precision"]
    if pair.teacher["precision"] != precision:
        own = pair.teacher["precision"] or "as its file has it"
        precision = f"student {precision}, teacher {own}"
    if pair.across_runtimes:
        times = f"{teacher} ms on {runtimes[0]} → {student} ms on {runtimes[1]}"
        return f"{times} for one image, one thread; {precision}"
    return f"{teacher} → {student} ms for one image, one thread, {runtimes[1]}, {precision}"


def _is_of(comparison: dict[str, Any], pair: LatencyPair) -> bool:
    keys = ("runtime", "precision", "threads", "batch_size")
    reference = comparison.get("teacher_runtime") or comparison["runtime"]  # not in documents of early versions
    same_student = all(comparison[key] == pair.student[key] for key in keys)
    return same_student and (comparison["student"], reference) == (pair.student["name"], pair.teacher["runtime"])


def _why_unknown(run: RunData, bench: dict[str, Any]) -> str:
    problem = latency_problem(bench)
    if all(row["name"] != "teacher" for row in bench["models"]):
        if missing := missing_model(run):
            return missing
        if (count := ensemble_size(run)) > 1:
            return f"the {count} teachers of the ensemble are not timed as one"
    return f"{problem}: see the latency distributions"
