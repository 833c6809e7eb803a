"""Exported models as points of cost and quality, and their Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.reporting._names import file_format
from kdcompress.reporting._run_data import RunData


@dataclass(frozen=True)
class Point:
    """Cost and quality of a model.

    Attributes:
        role: "teacher" or "student".
        name: Label.
        runtime: Runtime, or format of a file that was not timed.
        cost: Milliseconds per call, or bytes.
        quality: Test metric, a fraction.
        size: Bytes of the file, if known.
        gzip: Bytes of the file after gzip, if known.
        passed: Whether its parity check passed.
    """

    role: str
    name: str
    runtime: str
    cost: float
    quality: float
    size: int | None
    passed: bool
    gzip: int | None = None


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the points that no other point dominates (as good in both, better in one).

    Args:
        points: (cost, quality) pairs; lower cost and higher quality are better.

    Returns:
        Indices of the points on the front.
    """

    def dominated(point: tuple[float, float]) -> bool:
        return any(cost <= point[0] and quality >= point[1] and (cost, quality) != point for cost, quality in points)

    return [index for index, point in enumerate(points) if not dominated(point)]


def latency_points(run: RunData) -> list[Point]:
    """List the benchmarked models whose metric is known.

    Args:
        run: Run at any stage.

    Returns:
        Points whose cost is the median latency in ms at batch size 1 and the fewest threads; empty before `bench`.
    """
    points = []
    for row in single_image_rows(run.bench or {"models": []}):
        entry = _export(run, row["path"])
        role = "teacher" if row["name"] == "teacher" else "student"
        quality = _teacher_quality(run) if role == "teacher" else _quality(run, entry)
        if quality is not None:
            passed = entry is None or entry["passed"]
            name = f"{row['name']} {row['precision'] or ''}".strip()
            gzip = entry.get("gzip_bytes") if entry else None
            points.append(Point(role, name, row["runtime"], row["p50_ms"], quality, row.get("bytes"), passed, gzip))
    return points


def size_points(run: RunData) -> list[Point]:
    """List the exports and the teacher's file.

    Args:
        run: Run at any stage.

    Returns:
        Points whose cost is the size of the file in bytes.
    """
    points = []
    teacher, teacher_bytes = _teacher_quality(run), run.costs("teacher").get("bytes")
    if teacher is not None and teacher_bytes:
        points.append(Point("teacher", "teacher", file_format(run), teacher_bytes, teacher, teacher_bytes, True))
    for entry in run.exports:
        quality = _quality(run, entry)
        if quality is not None:
            name = entry["path"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
            points.append(
                Point(
                    "student",
                    name,
                    entry["format"],
                    entry["bytes"],
                    quality,
                    entry["bytes"],
                    entry["passed"],
                    entry.get("gzip_bytes"),
                )
            )
    return points


def single_image_rows(bench: dict[str, Any]) -> list[dict[str, Any]]:
    """Select the measurements at batch size 1 and the fewest threads.

    Args:
        bench: `bench.json`.

    Returns:
        Entries of its `models`.
    """
    rows = [row for row in bench["models"] if row["batch_size"] == 1]
    fewest = min((row["threads"] for row in rows), default=1)
    return [row for row in rows if row["threads"] == fewest]


def _export(run: RunData, path: str) -> dict[str, Any] | None:
    return next((entry for entry in run.exports if entry["path"] == path), None)


def _teacher_quality(run: RunData) -> float | None:
    return run.test_metrics["teacher"][run.metric] if run.test_metrics else None


def _quality(run: RunData, entry: dict[str, Any] | None) -> float | None:
    if entry is None or not entry["metrics"]:
        return None
    value: float | None = entry["metrics"].get(run.metric)
    return value
