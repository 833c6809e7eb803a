from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bare_device
import numpy as np
import pytest

import kdcompress
from kdcompress.bundling._code import device_modules
from kdcompress.device.parity import compare
from kdcompress.errors import RunError, UsageError
from kdcompress.runs.schemas import Benchmark

QUICK = ("--duration", "0.01", "--threads", "1")


def start(python: Path | str, bundle: Path, *options: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [str(python), str(bundle), *options]
    return subprocess.run(command, cwd=bundle.parent, capture_output=True, text=True, timeout=120, **settings)


def rebuild(bundle: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """The bundle with other content."""
    with zipfile.ZipFile(bundle) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            if (changed := change(name, content)) is not None:
                archive.writestr(name, changed)


def test_a_device_without_anything_else_checks_and_times_the_files(measured: Path) -> None:
    document = json.loads((measured / "pi.json").read_text())
    result = Benchmark.of(document, strict=True)
    assert {(model.name, model.precision, model.runtime) for model in result.models} == {
        ("teacher", "fp32", "onnxruntime"), ("student", "fp32", "onnxruntime"), ("student", "int8", "onnxruntime"),
    }  # fmt: skip
    assert [entry.passed for entry in result.parity] == [True, True, True]
    assert all(entry.identical for entry in result.parity)  # the same runtime on the same CPU
    assert {pair.precision for pair in result.comparisons} == {"fp32", "int8"}
    assert "ai-edge-litert" in " ".join(result.skipped)
    assert set(result.machine.versions) == {"kdcompress", "python", "numpy", "onnxruntime"}
    assert "parity of student int8 on onnxruntime: the same class on 8 of 8" in (measured / "stdout").read_text()
    assert "--import pi.json" in (measured / "stderr").read_text()


def test_the_same_content_gives_the_same_bytes(bundled: Path) -> None:
    first = (bundled / "pi.pyz").read_bytes()
    document = kdcompress.bundle(bundled / "run", out=bundled / "pi.pyz", images=8)
    assert (bundled / "pi.pyz").read_bytes() == first
    assert document["bytes"] == len(first) < 20e6
    assert [(file["name"], file["precision"]) for file in document["files"]][:3] == [
        ("teacher", "fp32"), ("student", "fp32"), ("student", "int8"),
    ]  # fmt: skip


def test_a_bundle_is_made_without_tensorflow_once_the_teacher_is_in_the_cache(bundled: Path) -> None:
    code = (
        "import sys\nsys.modules.update(dict.fromkeys(('tensorflow', 'keras')))  # None: importing it fails\n"
        f"import kdcompress\nkdcompress.bundle({str(bundled / 'run')!r}, out={str(bundled / 'other.pyz')!r}, images=8)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (bundled / "other.pyz").read_bytes() == (bundled / "pi.pyz").read_bytes()


def test_the_teacher_stays_at_home_where_it_shall(bundled: Path, device: Path) -> None:
    document = kdcompress.bundle(bundled / "run", out=bundled / "pi.pyz", images=8, teacher=False, precisions="fp32")
    assert {(file["name"], file["precision"]) for file in document["files"]} == {("student", "fp32")}
    done = start(device, bundled / "pi.pyz", *QUICK)
    assert done.returncode == 0, done.stderr
    assert json.loads((bundled / "pi.json").read_text())["comparisons"] == []


def test_outputs_that_are_not_those_expected_fail_parity(bundled: Path, device: Path) -> None:
    def alter(name: str, content: bytes) -> bytes:
        if name != "data/expected.npz":
            return content
        arrays: Any = {key: array * 1.01 for key, array in np.load(io.BytesIO(content)).items()}
        stream = io.BytesIO()
        np.savez(stream, **{key: array.astype(np.float32) for key, array in arrays.items()})
        return stream.getvalue()

    rebuild(bundled / "pi.pyz", alter)
    done = start(device, bundled / "pi.pyz", *QUICK)
    assert done.returncode == 3
    assert "student fp32 on onnxruntime does not compute here what it computed where the bundle was made" in done.stderr
    result = json.loads((bundled / "pi.json").read_text())
    assert not result["passed"]
    assert [entry["passed"] for entry in result["parity"]] == [False, False, True]  # int8 agrees on the classes


def test_a_clock_that_jumps_changes_no_time(bundled: Path, device: Path, tmp_path: Path) -> None:
    """As a board without a clock of its own does when the network tells it the date."""
    (tmp_path / "sitecustomize.py").write_text(
        "import itertools, time\nturn, real, real_ns = itertools.count(), time.time, time.time_ns\n"
        "time.time = lambda: real() - 1e8 * (next(turn) % 2)\n"
        "time.time_ns = lambda: real_ns() - 10**17 * (next(turn) % 2)\n"
    )
    done = start(device, bundled / "pi.pyz", *QUICK, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    result = Benchmark.of(json.loads((bundled / "pi.json").read_text()), strict=True)
    assert all(0 < model.p50_ms <= model.p99_ms < 60_000 for model in result.models)
    assert result.passed


def test_a_device_without_a_runtime_gets_one_line(bundled: Path, tmp_path: Path) -> None:
    python = bare_device.make(tmp_path / "env", "numpy")
    done = start(python, bundled / "pi.pyz", *QUICK)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: none of the files of this bundle (.onnx, .tflite) can be timed: ")
    assert "pip install onnxruntime" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (bundled / "pi.json").exists()


def test_a_device_without_numpy_gets_the_line_to_type(bundled: Path, tmp_path: Path) -> None:
    done = start(bare_device.make(tmp_path / "env"), bundled / "pi.pyz")
    assert done.returncode == 1
    assert done.stderr.endswith("python -m pip install numpy onnxruntime\n")
    assert len(done.stderr.splitlines()) == 1


def test_a_python_that_is_too_old_says_so(bundled: Path, device: Path) -> None:
    rebuild(bundled / "pi.pyz", lambda name, content: content.replace(b"(3, 9)", b"(3, 99)"))
    done = start(device, bundled / "pi.pyz")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "needs Python 3.9 or later" in done.stderr


def test_a_disk_without_space_leaves_nothing_behind(bundled: Path, device: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)}
    done = start(device, bundled / "pi.pyz", preexec_fn=small_files, env=environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot be unpacked" in done.stderr
    assert list(temporary.iterdir()) == []


def test_a_damaged_bundle_says_so(bundled: Path, device: Path) -> None:
    content = bytearray((bundled / "pi.pyz").read_bytes())
    with zipfile.ZipFile(bundled / "pi.pyz") as archive:
        entry = next(info for info in archive.infolist() if info.filename.endswith("student-fp32.onnx"))
    content[entry.header_offset + 200] ^= 0xFF
    (bundled / "pi.pyz").write_bytes(content)
    done = start(device, bundled / "pi.pyz")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "is damaged" in done.stderr


def test_ctrl_c_before_it_runs_leaves_nothing_behind(bundled: Path, device: Path, tmp_path: Path) -> None:
    interrupt = {"code/kdcompress/device/runner.py": b"raise KeyboardInterrupt"}
    rebuild(bundled / "pi.pyz", lambda name, content: interrupt.get(name, content))
    (tmp_path / "temporary").mkdir()
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "temporary")}
    done = start(device, bundled / "pi.pyz", env=environment)
    assert (done.returncode, done.stderr) == (130, "error: interrupted before anything was measured\n")
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--threads", "two"), "--threads takes whole numbers such as 1,4, got 'two'"),
        (("--duration", "0"), "--duration must be above 0"),
        (("--runtime", "openvinoo"), "unknown runtime 'openvinoo'"),
        (("--runtime", "litert"), "pip install ai-edge-litert"),
        (("--out", "nowhere/pi.json"), "name another file with --out"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    bundled: Path, device: Path, options: tuple[str, ...], words: str
) -> None:
    done = start(device, bundled / "pi.pyz", *options)
    assert done.returncode in (1, 2)
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1 + ("trying" in done.stderr))  # nothing was measured
    assert words in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_what_is_shipped_runs_on_python_3_9_and_imports_numpy_alone() -> None:
    names = (
        "onnx.runtimes.onnxruntime", "onnx.runtimes.openvino", "tflite.runtimes.litert",
        "tflite.runtimes.litert_compiled", "ncnn.runtimes.ncnn",
    )  # fmt: skip
    modules = device_modules([f"kdcompress.formats.{name}" for name in names])
    assert "kdcompress.benchmarking._timing" in modules
    assert not {"kdcompress.benchmarking._lineup", "kdcompress.config", "kdcompress.api"} & set(modules)
    vermin = [sys.executable, "-c", "from vermin import main; main()"]
    command = [*vermin, "-t=3.9-", "--no-tips", *map(str, modules.values())]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    start_command = [*vermin, "-t=3.6-", "--no-tips", "kdcompress/device/start.py"]
    assert subprocess.run(start_command, capture_output=True, cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"out": "pi.zip"}, UsageError, "must name a file that ends in .pyz"),
        ({"out": "notes.pyz"}, UsageError, "is there and is no bundle"),
        ({"out": "nowhere/pi.pyz"}, UsageError, "does not exist; make it"),
        ({"images": 0}, UsageError, "--images must be between 1 and 10,000, got 0"),
        ({"precisions": "int7"}, UsageError, "--precision must be one of fp32, "),
        ({"precisions": "int4"}, RunError, "has no export in int4, it has fp16, fp32, int8"),
    ],
)
def test_a_bundle_that_cannot_be_made(
    bundled: Path, options: dict[str, Any], error: type[Exception], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundled)
    (bundled / "notes.pyz").write_text("mine")
    with pytest.raises(error, match=words.replace("(", "\\(")):
        kdcompress.bundle(bundled / "run", **options)
    assert (bundled / "notes.pyz").read_text() == "mine"
    assert not (bundled / "run.pyz").exists()


def test_a_precision_that_is_not_there_is_told(bundled: Path) -> None:
    document = kdcompress.bundle(bundled / "run", out=bundled / "pi.pyz", images=8, precisions=["int8", "int4"])
    assert {file["precision"] for file in document["files"] if file["name"] == "student"} == {"int8"}
    assert "--precision int4` makes it" in document["skipped"][-1]


def test_a_model_file_is_no_run(bundled: Path) -> None:
    with pytest.raises(UsageError, match="is made of a run with exports"):
        kdcompress.bundle(bundled / "run" / "student.keras")


def test_a_run_without_exports_names_the_command(bundled: Path) -> None:
    shutil.rmtree(bundled / "run" / "exports")
    with pytest.raises(RunError, match="kdcompress export"):
        kdcompress.bundle(bundled / "run", out=bundled / "new.pyz")


def logits(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_parity_by_hand() -> None:
    expected = logits([10, 0], [0, 10], [5, 5.0005])
    same = compare(expected, expected, "fp32")
    assert (same["identical"], same["passed"], same["max_abs_diff"], same["largest_logit"]) == (True, True, 0, 10)
    tie = compare(logits([10, 0], [0, 10], [5.0006, 5]), expected, "fp32")  # differs by 0.0006 of 0.001 allowed
    assert tie["passed"]
    assert tie["top1_agreement"] == pytest.approx(2 / 3)
    off = compare(expected * np.float32(1.001), expected, "fp32")
    assert off["reasons"] == ["outputs differ by up to 0.01, above 0.001 (0.0001 of the largest)"]
    assert compare(expected * np.float32(1.001), expected, "int8")["passed"]
    wrong = compare(logits([0, 10], [0, 10], [5, 6]), expected, "int8")
    assert wrong["reasons"] == ["top-1 agrees on 66.7 % of the images, below 95 %"]
    assert compare(logits([np.nan, 0], [0, 10], [5, 6]), expected, "int8")["reasons"] == ["its outputs are not finite"]
    other = compare(expected[:, :1], expected, "fp32")
    assert other["reasons"] == ["its outputs are float32 (3, 1), expected float32 (3, 2)"]
