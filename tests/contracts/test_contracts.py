"""Every choice that is built in keeps the contract that those of other packages do."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import other_models
import pytest
import torch_models
from conftest import write_digits
from mhist_folder import mhist_folder
from own_images import pictures

from kdcompress import registry
from kdcompress.config.choices import make_choice
from kdcompress.data import Dataset, Samples
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.observers import Observer
from kdcompress.observers.mlflow import MLflow
from kdcompress.observers.tensorboard import TensorBoard
from kdcompress.testing import (
    DATASET_CHECKS,
    FORMAT_CHECKS,
    METHOD_CHECKS,
    MODEL_CHECKS,
    OBSERVER_CHECKS,
    RUNTIME_CHECKS,
    TEACHER_CHECKS,
    RuntimeCase,
    TeacherCase,
)

METHODS = (
    {"name": "hinton"},
    {"name": "hinton", "temperature": 0.5, "alpha": 1.0},
    {"name": "none"},
    {"name": "dist"},
    {"name": "dkd", "warmup": 2},
    {"name": "dkd", "standardize": True},
    {"name": "hinton", "standardize": True},
    {"name": "embedding"},
    {"name": "embedding", "label_free_epochs": 1, "alpha": 0.0},
    {"name": "srrl"},
    {"name": "simkd"},
    {"name": "pseudo"},
    {"name": "pseudo", "alpha": 1.0, "threshold": 0.9},
    {"name": "subclass"},
    {"name": "subclass", "subclasses": [3, 1, 2]},
    {"name": "subclass", "subclasses": "known"},
    {"name": "subclass", "subclasses": 4, "intra_class": True, "alpha": 1.0},
)
DATASETS = tuple(registry.choices("datasets"))


def every(checks: tuple[Callable[[Any], None], ...]) -> Any:
    return pytest.mark.parametrize("check", checks, ids=lambda check: check.__name__)


def names(room: str) -> Any:
    return pytest.mark.parametrize("name", registry.choices(room))


def test_every_method_is_here() -> None:
    assert {settings["name"] for settings in METHODS} == set(registry.choices("methods"))


@every(METHOD_CHECKS)
@pytest.mark.parametrize("settings", METHODS, ids=str)
def test_methods(check: Callable[[Any], None], settings: dict[str, Any]) -> None:
    check(make_choice("method", settings))


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Any:
    """A data set of each kind, small; it is made once for all checks, which only read it."""
    name, root = request.param, tmp_path_factory.mktemp("source")
    folder = root / "data"
    if name == "mnist":
        return make_choice("data", {"name": name, "dir": str(write_digits(root / "digits", digits))})
    if name == "mhist":
        mhist_folder(root, size=(224, 224))
        return make_choice("data", {"name": name, "dir": str(root)})
    if name == "arrays":
        np.savez(root / "arrays.npz", x=digits.train.images[::13], y=digits.train.labels[::13])
        return make_choice("data", {"name": name, "dir": str(root / "arrays.npz")})
    if name == "ebhi-seg":
        for kind in ("Normal", "Polyp"):
            images = pictures(folder / kind, 40, ("image",), size=(224, 224))
            for index, path in enumerate(sorted((images / "image").iterdir())):
                path.rename(path.with_name(f"case{index}-{index}.png"))
        return make_choice("data", {"name": name, "dir": str(folder), "classes": ["Normal", "Polyp"]})
    pictures(folder, 20)
    if name == "csv":
        rows = [f"{path.relative_to(folder)},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
        (folder / "images.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
        return make_choice("data", {"name": name, "dir": str(folder), "file": str(folder / "images.csv")})
    return make_choice("data", {"name": name, "dir": str(folder)})


@every(DATASET_CHECKS)
@pytest.mark.parametrize("source", DATASETS, indirect=True)
def test_datasets(check: Callable[[Any], None], source: Any) -> None:
    check(source)


@every(MODEL_CHECKS)
@names("models")
def test_models(check: Callable[[Any], None], name: str) -> None:
    check(registry.load("models", name))


@every(FORMAT_CHECKS)
@names("formats")
def test_formats(check: Callable[[Any], None], name: str) -> None:
    require_packages(name)
    check(registry.load("formats", name))


# Packages of an extra of the same name; they are looked for, since pnnx itself imports PyTorch
PACKAGES = {"ncnn": ("ncnn", "pnnx"), "openvino": ("openvino",)}


def require_packages(name: str) -> None:
    for package in PACKAGES.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extra `{name}`)")


def few(digits: Dataset) -> Samples:
    """Ten digits."""
    return digits.train.take(np.arange(0, 130, 13))


@pytest.fixture(scope="module")
def model_file(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, network: Any, digits: Dataset
) -> Path:
    """One network as a file of each kind, made once for all checks, which only read it."""
    suffix: str = request.param
    path = tmp_path_factory.mktemp("model") / f"model{suffix}"
    if suffix == ".onnx":
        return other_models.onnx_file(network, path)
    if suffix == ".tflite":
        return other_models.tflite_file(network, path)
    if suffix == ".ncnn":
        require_packages("ncnn")
        frozen = freeze(other_models.with_scaling(network), (28, 28, 1))
        make_format("ncnn").write(frozen, path, "fp32", Options(), None, {})
        return path
    if suffix == ".pt2":
        return torch_models.digits_file(network, path)
    if suffix == ".npz":
        ten = few(digits)
        logits = network.predict(ten.images / 255.0, verbose=0).astype(np.float32)
        np.savez(path, logits=logits, ids=ten.ids)
    elif suffix:
        network.save(path)
    else:
        other_models.saved_model(network, path)
    return path


KINDS_OF_TEACHERS = {
    "keras": ".keras",
    "logits": ".npz",
    "onnx": ".onnx",
    "saved_model": "",
    "tflite": ".tflite",
    "torch": ".pt2",
}


def test_every_kind_of_teacher_is_here() -> None:
    assert sorted(KINDS_OF_TEACHERS) == registry.choices("teachers")


@every(TEACHER_CHECKS)
@pytest.mark.parametrize(("name", "model_file"), KINDS_OF_TEACHERS.items(), indirect=["model_file"])
def test_teachers(check: Callable[[Any], None], name: str, model_file: Path, digits: Dataset) -> None:
    classes = tuple("0123456789")
    check(TeacherCase(registry.load("teachers", name), model_file, few(digits), classes))


EXPORTED = Path(__file__).parents[1] / "data" / "run-0.1" / "exports" / "student-fp32.tflite"
RUNTIMES = {
    "onnxruntime": ".onnx",
    "openvino": ".onnx",
    "litert": ".tflite",
    "litert-compiled": ".tflite",
    "ncnn": ".ncnn",
    "torch": ".pt2",
}


def test_every_runtime_is_here() -> None:
    assert sorted(RUNTIMES) == registry.choices("runtimes")


@every(RUNTIME_CHECKS)
@pytest.mark.parametrize(("name", "model_file"), RUNTIMES.items(), indirect=["model_file"])
def test_runtimes(check: Callable[[Any], None], name: str, model_file: Path) -> None:
    require_packages(name)
    # A CompiledModel refuses to change the batch size of what TensorFlow's converter makes of Flatten
    path = EXPORTED if name == "litert-compiled" else model_file
    check(RuntimeCase(registry.load("runtimes", name), path))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of MLflow's, which takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


OBSERVERS = ("mlflow", "tensorboard")


def test_every_observer_is_here() -> None:
    assert sorted(OBSERVERS) == registry.choices("observers")


@every(OBSERVER_CHECKS)
@pytest.mark.parametrize("name", OBSERVERS)
def test_observers(
    check: Callable[[Any], None], name: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the artefacts of a local database
    trackers: dict[str, Observer] = {
        "mlflow": MLflow(tracking_uri=store, log_artifacts=True),
        "tensorboard": TensorBoard(log_dir=str(tmp_path)),
    }
    check(trackers[name])
