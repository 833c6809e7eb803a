from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarking.onnx_files import dense

from kdcompress.benchmarking._fresh import measure_fresh
from kdcompress.errors import ModelError

IMAGES = np.zeros((1, 8, 8, 1), np.uint8)


def test_a_fresh_process_tells_load_time_and_memory_of_the_model_alone(tmp_path: Path) -> None:
    held = np.ones(400_000_000, np.uint8)  # what this process holds must not count: Linux's getrusage would count it
    small = measure_fresh("onnxruntime", dense(tmp_path / "small.onnx"), 1, IMAGES)
    large = measure_fresh("onnxruntime", dense(tmp_path / "large.onnx", width=4000), 1, IMAGES)
    assert held[-1] == 1
    assert 10 < small["runtime_rss_mb"] <= small["peak_rss_mb"] < 300
    assert large["peak_rss_mb"] - small["peak_rss_mb"] > 60  # its square matrix alone has 64 MB
    assert small["load_ms"] > 0
    assert small["first_ms"] > 0


def test_a_model_that_cannot_be_run_is_named_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken.onnx cannot be run by onnxruntime in a fresh process \(exit 1\)"):
        measure_fresh("onnxruntime", path, 1, IMAGES)
