"""`bench` on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarking.onnx_files import dense
from typer.testing import CliRunner

from kdcompress.benchmarking import _bench, _table
from kdcompress.cli import bench as command
from kdcompress.cli._app import app

PAIR = {
    "student": "student",
    "teacher": "teacher",
    "runtime": "onnxruntime",
    "teacher_runtime": "onnxruntime",
    "precision": "int8",
    "teacher_precision": "fp32",
    "threads": 1,
    "batch_size": 1,
    "speedup": 4.6,
    "speedup_low": 4.4,
    "speedup_high": 4.9,
    "distinguishable": True,
    "end_to_end": None,
}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = {"load_ms": 1.0, "first_ms": 1.0, "peak_rss_mb": 1.0, "runtime_rss_mb": 1.0}
    monkeypatch.setattr(_bench, "measure_fresh", lambda *args: fresh)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return dense(tmp_path / "fast.onnx"), dense(tmp_path / "slow.onnx", width=1500)


def test_a_table_a_sentence_for_each_pair_and_the_conditions(pair: tuple[Path, Path]) -> None:
    fast, slow = pair
    done = run("bench", slow, fast, "--threads", "1", "--duration", "0.03")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "onnxruntime, 1 thread, batch 1"
    assert lines[2].startswith("slow ")
    assert lines[3].startswith("fast ")
    (sentence,) = [line for line in lines if line.startswith("fast on onnxruntime, 1 thread, batch 1: ")]
    assert "times as fast as slow (95 % " in sentence
    assert "random images" in lines[-1]


def test_a_gate_that_fails_exits_3_and_json_is_alone_on_stdout(pair: tuple[Path, Path]) -> None:
    done = run("bench", *pair, "--threads", "1", "--duration", "0.03", "--max-slowdown", "1.5", "--json")
    assert done.exit_code == 3
    result = json.loads(done.stdout)
    assert not result["passed"]
    assert result["gates"][0]["value"] > 1.5
    assert "kdcompress: gate max_slowdown fails: slow on onnxruntime, 1 thread, batch 1 takes" in done.stderr


def test_ctrl_c_shows_what_was_finished_and_exits_130(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcompress.cli._terminal import Terminal
    from kdcompress.events import Step

    def on_step(self: Terminal, event: Step) -> None:
        if event.done == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(Terminal, "on_step", on_step)
    done = run("bench", *pair, "--threads", "1", "--duration", "0.03")
    assert done.exit_code == 130
    assert "slow on onnxruntime" in done.stdout
    assert "kdcompress: interrupted; this is what was finished" in done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "student int8 on onnxruntime, 1 thread, batch 1: 4.60 times as fast as the teacher (95 % 4.40 to 4.90)"),
        (
            {"speedup": 1.01, "speedup_low": 0.98, "speedup_high": 1.04, "distinguishable": False},
            "not distinguishable from the teacher: 1.01 times as fast (95 % 0.980 to 1.04)",
        ),
        (
            {"speedup": 0.5, "speedup_low": 0.4, "speedup_high": 0.6},
            "0.500 times as fast as the teacher (95 % 0.400 to 0.600): SLOWER, a call takes 2.00 times as long",
        ),
        ({"speedup_low": None, "distinguishable": False}, "(too few rounds for an interval)"),
        ({"teacher": "big", "teacher_runtime": "litert"}, "times as fast as big fp32 on litert (95 %"),
        ({"student": "small-int8"}, "small int8 on onnxruntime, 1 thread"),
        ({"end_to_end": {"speedup": 1.25}, "threads": 2}, "2 threads, batch 1: 4.60"),
        ({"end_to_end": {"speedup": 1.25}}, "; from file to answer 1.25 times as fast"),
    ],
)
def test_sentences(change: dict[str, Any], words: str) -> None:
    assert words in _table._sentence({**PAIR, **change})


def test_a_teacher_that_could_not_be_timed_is_a_warning() -> None:
    from kdcompress.cli._terminal import Terminal

    errors = io.StringIO()
    reason = "the teacher on onnxruntime: ONNX cannot express it, so students there have no speedup"
    skipped = [reason, "student.saved_model: no runtime is for it"]
    result = {"skipped": skipped, "warnings": [], "gates": [], "parity": [], "interrupted": False}
    command._print_messages(result, Terminal(io.StringIO(), errors))
    assert f"WARNING: not timed: {reason}" in errors.getvalue()
    assert "WARNING: not timed: student" not in errors.getvalue()


def test_int8_that_is_slower_is_a_sentence() -> None:
    slow = {"name": "student", "runtime": "onnxruntime", "threads": 1, "batch_size": 1, "slowdown": 1.5}
    operators = [{"operator": "Conv", "share": 0.75}, {"operator": "QuantizeLinear", "share": 0.25}]
    assert _table._slow({**slow, "reasons": ["it is small"], "operators": operators}) == (
        "student int8 on onnxruntime, 1 thread, batch 1 takes 1.5 times as long as fp32; likely because it is small; "
        "its time: Conv 75 %, QuantizeLinear 25 %"
    )
    assert "its time" not in _table._slow({**slow, "reasons": ["it is small"], "operators": None})


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere"], 2, "nowhere does not exist"),
        (["JUNK.onnx"], 1, "cannot be opened by onnxruntime"),
        (
            ["JUNK.npy"],
            2,
            "files of a runtime: .tflite (litert, litert-compiled), .ncnn (ncnn), .onnx (onnxruntime, openvino), ",
        ),
        (["JUNK.onnx", "--threads", "0"], 2, "--threads must be >= 1, got 0"),
        (["JUNK.onnx", "--threads", "two"], 2, "--threads takes whole numbers such as 1,4, got 'two'"),
        (["JUNK.onnx", "--batch-size", "1,0"], 2, "--batch-size must be >= 1, got 0"),
        (["JUNK.onnx", "--input-shape", "8"], 2, "--input-shape takes H,W,C"),
        (["JUNK.onnx", "--max-slowdown", "-1"], 2, "--max-slowdown must be a number above 0"),
        (["JUNK.onnx", "--duration", "-1"], 2, "--duration must be above 0"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "JUNK.onnx").write_bytes(b"junk")
    np.save(tmp_path / "JUNK.npy", np.zeros(3))
    done = run("bench", *(argument.replace("JUNK", str(tmp_path / "JUNK")) for argument in arguments))
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_list_shows_the_runtimes() -> None:
    shown = run("list", "runtimes").stdout
    assert "onnxruntime     onnxruntime on the CPU, for ONNX files." in shown
    assert "litert" in shown
