"""A benchmark that never ran: bench.json as its schema promises, with numbers made up for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.files import write_json
from kdcompress.runs.folder import RunFolder

MACHINE = {
    "cpu": "TEST DATA, no machine",
    "usable_cores": 2,
    "governor": "none",
    "load": {"before": 0.1, "during": 0.2, "load_1min": None},
    "versions": {"onnx": "0"},
}


def timed(name: str, path: str, runtime: str, precision: str, median: float, **other: Any) -> dict[str, Any]:
    """One model's row, its quantiles of a skewed distribution around `median`."""
    quantiles = median * (0.9 + np.linspace(0, 1, 101) ** 3 * 0.2 + 0.3 * (np.linspace(0, 1, 101) > 0.985))
    quantiles = quantiles * median / quantiles[50]
    return {
        "name": name, "path": path, "runtime": runtime, "precision": precision, "threads": 1,
        "batch_size": 1, "n": 2000, "p50_ms": float(quantiles[50]),
        "p90_ms": float(quantiles[90]), "p99_ms": float(quantiles[99]),
        "mean_ms": float(quantiles.mean()), "max_ms": float(quantiles[100]), "first_ms": 9 * median,
        "load_ms": 12.5, "throughput_per_s": 1000 / median, "peak_rss_mb": 81.5, "bytes": 1234567,
        "quantiles_ms": quantiles.tolist(), **other,
    }  # fmt: skip


def bench_of(run: Path) -> dict[str, Any]:
    """A whole bench.json for a run with exports of any kind."""
    models = [timed("teacher", "exports/teacher-fp32.onnx", "onnxruntime", "fp32", 1.2)]
    medians = {"fp32": 0.12, "fp16": 0.125, "int8": 0.06, "dynamic": 0.08}
    for path in sorted((run / "exports").glob("student-*.*")):
        if path.suffix in (".onnx", ".tflite") and ".failed" not in path.name:
            precision = path.stem.split("-")[1]
            runtime = "onnxruntime" if path.suffix == ".onnx" else "litert"
            for batch in (1, 32):
                median = medians[precision] * (1.3 if runtime == "litert" else 1) * (1 if batch == 1 else 20)
                relative = str(path.relative_to(run))
                models.append(timed("student", relative, runtime, precision, median, batch_size=batch))
    return {
        "machine": MACHINE,
        "models": models,
        "comparisons": [
            {"student": "student", "teacher": "teacher", "runtime": "onnxruntime", "precision": "fp32",
             "threads": 1, "batch_size": 1, "speedup": 10.0,
             "speedup_low": 9.4, "speedup_high": 10.7, "distinguishable": True},
        ],
        "gates": [{"name": "max_slowdown", "limit": 1.0, "value": 0.1, "passed": True}],
        "warnings": ["the machine was busy while it was timed"],
        "interrupted": False,
    }  # fmt: skip


def put_bench(run: Path) -> dict[str, Any]:
    """Write the made-up bench.json into a run and its manifest."""
    made = bench_of(run)
    write_json(run / "bench.json", made)
    RunFolder(run).commit("bench.json")
    return made
