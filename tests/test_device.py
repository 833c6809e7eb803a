"""What a device needs is NumPy and one runtime: opening, running and timing exported files imports nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
BLOCKED = (
    "tensorflow", "keras", "tf_keras", "tf2onnx", "onnx", "sklearn", "scipy", "pydantic", "typer", "rich", "psutil",
    "cpuinfo", "PIL", "h5py", "filelock", "platformdirs", "optuna", "sqlalchemy", "matplotlib", "jinja2", "tomli_w",
    "regex", "keras_flops", "mlxtend", "google",
)  # fmt: skip
MODULES = (
    "kdcompress.formats.onnx.model", "kdcompress.formats.onnx.runtimes.onnxruntime", "kdcompress.formats.tflite.model",
    "kdcompress.formats.tflite.runtimes.litert", "kdcompress.formats.tflite.runtimes.litert_compiled",
    "kdcompress.formats.onnx.runtimes.openvino", "kdcompress.formats.ncnn.model",
    "kdcompress.formats.ncnn.runtimes.ncnn", "kdcompress.benchmarking._timing", "kdcompress.benchmarking._statistics",
)  # fmt: skip
PROGRAM = """
import importlib, json, sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is not on the device")

blocked, modules, runtime, file = json.loads(sys.argv[1])
sys.meta_path.insert(0, Blocker())
loaded = {name: importlib.import_module(name) for name in modules}
import numpy as np
runtime = loaded[runtime].RUNTIME()
signature = runtime.signature(Path(file))
shape = (2, *signature.image_shape(Path(file), None))
opened = runtime.open(Path(file), 1, shape)
outputs = opened.invoke(opened.prepare(np.zeros(shape, np.uint8)))
outputs = outputs[0] if isinstance(outputs, list) else outputs
ours = sorted(name for name in sys.modules if name.startswith("kdcompress"))
print(json.dumps([list(outputs.shape), signature.precision, ours]))
"""


@pytest.mark.parametrize(
    ("runtime", "file"),
    [
        ("onnx.runtimes.onnxruntime", "run-0.1/exports/student-fp32.onnx"),
        ("onnx.runtimes.openvino", "run-0.1/exports/student-int8.onnx"),
        ("tflite.runtimes.litert", "run-0.1/exports/student-int8.tflite"),
        ("tflite.runtimes.litert_compiled", "run-0.1/exports/student-fp32.tflite"),
        ("ncnn.runtimes.ncnn", "ncnn/student-fp32.ncnn"),
    ],
)
def test_a_file_runs_where_nothing_but_its_runtime_is_installed(runtime: str, file: str) -> None:
    for package in ("openvino", "ncnn"):
        if runtime.endswith(package):
            pytest.importorskip(package, reason=f"{package} is not installed (the extra of this name)")
    job = [BLOCKED, MODULES, f"kdcompress.formats.{runtime}", str(DATA / file)]
    command = [sys.executable, "-c", PROGRAM, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    shape, precision, ours = json.loads(done.stdout)
    assert shape == [2, 10]
    assert precision == file.rpartition("-")[2].partition(".")[0]
    for name in ours:
        place = ROOT.joinpath(*name.split("."))
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
