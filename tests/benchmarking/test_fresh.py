from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarking.onnx_files import dense

import kdcompress
from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._fresh import check_starts, measure_fresh
from kdcompress.errors import ModelError
from kdcompress.missing import GUIDE

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


DYING = """
import os, signal
from kdcompress.formats.onnx.runtimes.onnxruntime import OnnxRuntime

class Dies(OnnxRuntime):
    module = "not_imported_here"

    def load(self):
        os.kill(os.getpid(), getattr(signal, "{name}"))

class Runs(OnnxRuntime):
    def open(self, path, threads, shape):
        os.kill(os.getpid(), getattr(signal, "{name}"))

class Missing(OnnxRuntime):
    module = "not_imported_here"

    def load(self):
        raise ImportError("GLIBC_2.99 not found")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("name", "text", "cause", "cause_of_file"),
    [
        ("SIGILL", "Illegal instruction", *["its wheel most likely needs CPU instructions that this CPU lacks"] * 2),
        ("SIGKILL", "Killed", *["the memory was most likely not enough"] * 2),
        *(
            (name, text, "its wheel may not be made for this CPU or system", "the file may be damaged, or its wheel")
            for name, text in [("SIGSEGV", "Segmentation fault"), ("SIGBUS", "Bus error"), ("SIGABRT", "Aborted")]
        ),
    ],
)
def test_a_runtime_that_ends_its_process_is_named_with_signal_and_cause(
    name: str, text: str, cause: str, cause_of_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"dying_{name}.py").write_text(DYING.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    file = dense(tmp_path / "a.onnx")
    dies, runs = (f"dying_{name}:{kind}" for kind in ("Dies", "Runs"))
    told = f"{dies} does not start: importing it ended a fresh process by {name} ({text}); {cause}: {GUIDE}"
    for call in (lambda: check_starts(dies), lambda: measure_fresh(dies, file, 1, IMAGES)):
        with pytest.raises(ModelError) as caught:
            call()
        assert str(caught.value) == told
    check_starts(runs)
    with pytest.raises(ModelError) as caught:
        measure_fresh(runs, file, 1, IMAGES)
    assert f"a.onnx cannot be run by {runs}: running the model ended a fresh process by {name}" in str(caught.value)
    assert f"({text}); {cause_of_file}" in str(caught.value)


def test_a_runtime_that_does_not_start_ends_no_benchmark_with_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dying.py").write_text(DYING.format(name="SIGILL"))
    monkeypatch.syspath_prepend(tmp_path)
    file, runtime = dense(tmp_path / "a.onnx"), make_runtime("dying:Dies")
    monkeypatch.setattr(type(runtime), "require", lambda self: None)
    with pytest.raises(ModelError, match=r"dying:Dies does not start: .* by SIGILL"):
        kdcompress.bench(file, runtimes=["dying:Dies"], threads=[1], duration=0.03)
    with pytest.raises(ModelError) as caught:
        check_starts("dying:Missing")
    told = f"dying:Missing does not start in a fresh process (exit 1): ImportError: GLIBC_2.99 not found; {GUIDE}"
    assert str(caught.value) == told
