from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarking.onnx_files import dense

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._machine import instruction_sets
from kdcompress.benchmarking._slow import likely_reasons, slowest_operators
from kdcompress.formats.onnx.runtimes.onnxruntime import shares_of_operators

OLD, NEW = instruction_sets(["avx2"]), instruction_sets(["avx2", "avx_vnni"])


def test_each_reason_is_given_where_it_applies_and_only_there() -> None:
    (cpu,) = likely_reasons(5.0, OLD, {"QLinearConv": 0.99})
    assert cpu.startswith("the CPU has no ")
    (converting,) = likely_reasons(5.0, NEW, {"QLinearConv": 0.5, "DequantizeLinear": 0.3, "QuantizeLinear": 0.2})
    assert converting.startswith("50 % of the time goes into conversions")
    (floating,) = likely_reasons(5.0, NEW, {"QLinearConv": 0.3, "Conv": 0.45, "Gemm": 0.2, "Add": 0.05})
    assert floating == "Conv, Gemm compute in float, 65 % of the time"
    names = {"Convolution (NHWC, F32) IGEMM": 0.5, "Convolution (NHWC, QC8) IGEMM": 0.3, "Convert (NC, F32, QS8)": 0.2}
    converting, floating = likely_reasons(5.0, NEW, names)  # of LiteRT
    assert converting.startswith("20 % of the time goes into conversions")
    assert floating == "Convolution (NHWC, F32) IGEMM compute in float, 50 % of the time"
    (small,) = likely_reasons(0.03, NEW, None)
    assert "0.030 ms" in small
    (nothing,) = likely_reasons(5.0, NEW, {"QLinearConv": 1.0})
    assert nothing.startswith("none of the usual ones")


def test_onnxruntime_tells_the_operators_that_took_the_time(tmp_path: Path) -> None:
    path = dense(tmp_path / "model.onnx", width=1000)
    found = make_runtime("onnxruntime").operators(path, 1, np.zeros((4, 8, 8, 1), np.uint8))
    assert found is not None
    assert next(iter(found)) == "MatMul"
    assert sum(found.values()) == pytest.approx(1)
    assert [one["operator"] for one in slowest_operators(found) or []] == list(found)
    assert list(tmp_path.iterdir()) == [path]  # the profile is not left behind


def test_a_wait_for_a_busy_core_is_not_time_of_the_operator_that_was_interrupted() -> None:
    def node(operator: str, index: int, *times: int) -> list[dict[str, Any]]:
        """Its events in four calls."""
        args = {"op_name": operator, "node_index": str(index)}
        return [{"cat": "Node", "name": f"{operator}_kernel_time", "dur": time, "args": args} for time in times]

    session = {"cat": "Session", "name": "model_run", "dur": 10**6, "args": {}}
    events = [
        session,
        *node("Reshape", 0, 1, 9000, 1, 1),
        *node("Conv", 1, 20, 21, 20, 400),
        *node("Conv", 2, 8, 8, 9, 9),
    ]
    # Of each node the two fastest calls: 2, 40 and 16
    assert shares_of_operators(events) == {"Conv": pytest.approx(56 / 58), "Reshape": pytest.approx(2 / 58)}
