"""Latency of the student relative to the teacher, from a benchmark."""

from __future__ import annotations

from typing import Any

# The configuration that the headline speaks of: unquantised, single-threaded, one image at a time
_REFERENCE = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "batch_size": 1}


def latency_pair(bench: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Select the measurements of student and teacher in float32 on ONNX Runtime with one thread and batch size 1.

    Args:
        bench: `bench.json`.

    Returns:
        (student, teacher) entries of its `models`; None if one was not measured.
    """
    rows = [row for row in bench["models"] if all(row[key] == value for key, value in _REFERENCE.items())]
    teacher = next((row for row in rows if row["name"] == "teacher"), None)
    student = next((row for row in rows if row["name"] != "teacher"), None)
    return (student, teacher) if student and teacher else None


def latency_ratio(bench: dict[str, Any]) -> float | None:
    """Compute the ratio student / teacher of the median latencies of `latency_pair`.

    Args:
        bench: `bench.json`.

    Returns:
        The ratio; None if one of the two was not measured.
    """
    pair = latency_pair(bench)
    return pair[0]["p50_ms"] / pair[1]["p50_ms"] if pair else None
