"""How student and teacher compare in time, as far as a benchmark has measured them."""

from __future__ import annotations

from typing import Any

# The pair that one number stands for: both as trained, on one core, one image at a time
_PAIR = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "batch_size": 1}


def latency_pair(bench: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(student, teacher) among bench.json's models in float32, on ONNX Runtime, one thread, batch 1; None without."""
    alike = [one for one in bench["models"] if all(one[key] == value for key, value in _PAIR.items())]
    teacher = next((one for one in alike if one["name"] == "teacher"), None)
    student = next((one for one in alike if one["name"] != "teacher"), None)
    return (student, teacher) if student and teacher else None


def latency_ratio(bench: dict[str, Any]) -> float | None:
    """student / teacher of the median latencies of that pair."""
    pair = latency_pair(bench)
    return pair[0]["p50_ms"] / pair[1]["p50_ms"] if pair else None
