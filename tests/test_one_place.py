"""What a stranger's file could misuse is done in one place each, where it is checked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "kdcompress"
# A call, or an import -> the only modules that may make it
PLACES = {
    "rmtree": {"files.py", "leftovers.py", "device/start.py", "device/remote/run.py", "device/remote/end.py"},
    "removedirs": set[str](),
    "Popen": {"processes.py", "device/remote/run.py"},
    "check_output": set[str](),
    "system": set[str](),
    "eval": {"formats/torch/export.py"},  # of a module, which switches Dropout off
    "exec": set[str](),
    "extractall": {"device/start.py"},  # of the archive whose code runs already
    "TemporaryDirectory": set[str](),
    "mkdtemp": {"leftovers.py", "device/start.py"},
    "InferenceSession": {
        "formats/onnx/model.py", "formats/onnx/runtimes/onnxruntime.py", "formats/onnx/shapes.py",
        "formats/ncnn/conversion.py",
    },
    "load_weights": {
        "models/_loading.py", "pipeline/reopening.py", "pipeline/opening.py", "pipeline/distillation.py",
        "pipeline/assistants.py",
        "sweeping/_compression.py", "compression/_pipeline.py",
    },
    "load_external_data_for_model": {"formats/onnx/shapes.py"},
    "run_module": set[str](),
    "ProcessPoolExecutor": set[str](),
    "print": {
        "cli/_app.py", "cli/_documents.py", "cli/_terminal.py", "cli/cache.py", "cli/init.py", "cli/list.py",
        "sweeping/_worker.py", "data/synthetic/_base.py", "device/runner.py",
    },
}  # fmt: skip
ATTRIBUTES = {
    "saved_model.load": {"formats/saved_model/model.py"},
    "saving.load_model": {"models/_loading.py"},
    "json.loads": {
        "files.py", "sealed.py", "processes.py", "formats/keras/config_check.py", "metadata.py",
        "benchmarking/_fresh.py", "formats/onnx/runtimes/onnxruntime.py", "sweeping/_events.py",
        "formats/torch/archive.py", "formats/torch/graph_check.py", "device/contents.py", "device/remote/place.py",
        "device/remote/end.py",
    },
    "np.load": {"training/features.py", "teachers/_targets.py", "benchmarking/_fresh.py", "device/contents.py"},
}  # fmt: skip
MODULES = ("pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "multiprocessing")


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((f"import {alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"import {node.module}", node.lineno


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_dangerous_is_done_where_it_is_checked(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    for call, line in calls(path):
        last = call.rsplit(".", 1)[-1]
        assert name in PLACES.get(last, {name}), f"{name}:{line} calls {call}"
        for attribute, places in ATTRIBUTES.items():
            assert not call.endswith(attribute) or name in places, f"{name}:{line} calls {call}"
        assert not call.startswith("import ") or last not in MODULES, f"{name}:{line}: {call}"
    assert "allow_pickle=True" not in path.read_text()
