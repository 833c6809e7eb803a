"""All students of a run, the first and the compressed ones, with the Pareto front of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kdcompress.formatting import MISSING, digits, percent, size
from kdcompress.reporting._pareto import Point, latency_points, size_points
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting.sections.tradeoff import explain, find_front, make_figure, make_table
from kdcompress.runs.students import is_of_former_start
from kdcompress.verification.latency import latency_ratio

_FIRST = "student"


def section(run: RunData) -> Section | None:
    """Build the section; None for a run without compressed students."""
    if not run.students or not run.test_metrics:
        return None
    metric = {"auc": "AUC"}.get(run.metric, run.metric)
    tables, figures, text = [_table(run, metric)], [], list(_outdated(run))
    timed = bool(run.bench) and all(student.bench for student in run.students if student.exports)
    points = list(_points(run, timed))
    if len(points) > 1:
        front = find_front(points)
        figures.append(make_figure(points, front, metric, timed, "students-tradeoff"))
        tables.append(make_table(points, front, metric, timed))
        text.append(explain(points, front))
        if timed:
            text.append("Latencies of different benchmarks are scaled by the teacher's, which each of them measured.")
    return Section("students", "All students of the run", text, figures, tables, missing=_missing(run))


def _outdated(run: RunData) -> Iterator[str]:
    members = dict(_members(run))
    for student in run.students:
        start = str((student.compression or {}).get("start", ""))
        if start in members and is_of_former_start(student.manifest, members[start].manifest):
            yield f"{student.name} was compressed from a former {start}, which has been made anew since."


def _members(run: RunData) -> list[tuple[str, RunData]]:
    return [(_FIRST, run), *((student.name, student) for student in run.students)]


def _table(run: RunData, metric: str) -> Table:
    rows = []
    for name, member in _members(run):
        costs, quality = member.costs("student"), member.test_metrics["student"][run.metric]
        ratio = latency_ratio(member.bench) if member.bench else None
        gzip = (member.compression or {}).get("after", {}).get("gzip_bytes")
        if name == _FIRST:
            gzip = next((before["gzip_bytes"] for before in map(_before, run.students) if before), None)
        rows.append(
            [
                name,
                percent(quality),
                *(f"{costs[key]:,}" if costs.get(key) else MISSING for key in ("params", "flops")),
                size(gzip) if gzip else MISSING,
                digits(ratio) if ratio else MISSING,
            ]
        )
    head = ["student", metric, "parameters", "FLOPs", "weights, gzip", "latency / teacher"]
    return Table("The students; latency of one image in float32, one thread, relative to the teacher", head, rows)


def _before(student: RunData) -> dict[str, Any] | None:
    """Return the costs of the first student, as the compression of it recorded them."""
    document = student.compression
    return document["before"] if document and document["start"] == _FIRST else None


def _points(run: RunData, timed: bool) -> Iterator[Point]:
    """Yield the files of all students, and the teacher once."""
    for name, member in _members(run):
        points = latency_points(member) if timed else size_points(member)
        scale = _scale(run, member) if timed else 1.0
        for point in points:
            if point.role == "student":
                yield replace(point, name=f"{name}: {point.name}", cost=point.cost * scale)
            elif member is run:
                yield point


def _scale(run: RunData, member: RunData) -> float:
    """Return the teacher's latency in the run's benchmark, relative to that in the student's."""
    times = []
    for document in (run.bench, member.bench):
        rows = [row for row in (document or {"models": []})["models"] if row["name"] == "teacher"]
        times.append({(row["runtime"], row["threads"], row["batch_size"]): row["p50_ms"] for row in rows})
    common = sorted(set(times[0]) & set(times[1]))
    return times[0][common[0]] / times[1][common[0]] if common else 1.0


def _missing(run: RunData) -> list[str]:
    missing = []
    for verb, attribute in (("export", "exports"), ("bench", "bench")):
        names = [student.name for student in run.students if not getattr(student, attribute)]
        if names:
            missing.append(f"`kdcompress {verb} {run.folder}:{names[0]}` adds it here.")
    return missing
