"""Latency of the student relative to the teacher, from a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The configuration that the headline speaks of: an unquantised student, single-threaded, one image at a time
_SETTING = {"threads": 1, "batch_size": 1}
_PRECISION = "fp32"
_PREFERRED = "onnxruntime"


@dataclass(frozen=True)
class LatencyPair:
    """Measurements of student and teacher that are compared.

    Attributes:
        student: Entry of `models` in `bench.json`.
        teacher: Likewise.
    """

    student: dict[str, Any]
    teacher: dict[str, Any]

    @property
    def across_runtimes(self) -> bool:
        """Whether the two were timed on different runtimes."""
        return bool(self.student["runtime"] != self.teacher["runtime"])

    @property
    def ratio(self) -> float:
        """Ratio student / teacher of the median latencies."""
        return float(self.student["p50_ms"] / self.teacher["p50_ms"])


def latency_pair(bench: dict[str, Any]) -> LatencyPair | None:
    """Select the measurements of the student in float32 and of the teacher, with one thread and batch size 1.

    Both are of the same runtime, onnxruntime if there is a choice; only if no runtime has both, they are of two. The
    precision of the teacher is that of its own file, which may be unknown, or float32 if it was exported.

    Args:
        bench: `bench.json`.

    Returns:
        The pair; None if one of the two was not measured.
    """
    rows = sorted(_rows_at_setting(bench), key=lambda row: row["runtime"] != _PREFERRED)
    teachers = [row for row in rows if row["name"] == "teacher"]
    students = [row for row in rows if row["name"] != "teacher" and row["precision"] == _PRECISION]
    pairs = [LatencyPair(student, teacher) for student in students for teacher in teachers]
    return min(pairs, key=lambda pair: pair.across_runtimes, default=None)


def latency_problem(bench: dict[str, Any]) -> str:
    """Explain in a few words why `latency_pair` finds nothing.

    Args:
        bench: `bench.json`.
    """
    if all(row["name"] != "teacher" for row in bench["models"]):
        return "the teacher could not be timed"
    rows = _rows_at_setting(bench)
    if not rows:
        return "one thread and one image a call were not timed"
    if all(row["name"] != "teacher" for row in rows):
        return "the teacher was not timed with one thread and one image a call"
    return "no student in float32 was timed"


def latency_ratio(bench: dict[str, Any]) -> float | None:
    """Compute the ratio student / teacher of the median latencies of `latency_pair` on the same runtime.

    Args:
        bench: `bench.json`.

    Returns:
        The ratio; None if one of the two was not measured, or only on another runtime.
    """
    pair = latency_pair(bench)
    return pair.ratio if pair and not pair.across_runtimes else None


def _rows_at_setting(bench: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in bench["models"] if all(row[key] == value for key, value in _SETTING.items())]
