"""Exports to ncnn, from a run to its benchmark, and what ncnn cannot take."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import layer_zoo
import numpy as np
import pytest

import kdcompress
from kdcompress.benchmarking import make_runtime
from kdcompress.errors import ExportError, ModelError
from kdcompress.exporting import make_format, open_exported
from kdcompress.exporting._base import Options
from kdcompress.exporting._network import freeze
from kdcompress.exporting._request import make_export_request
from kdcompress.formats.ncnn import conversion, trial
from kdcompress.formats.ncnn.model import GRAPH, METADATA, WEIGHTS, NcnnNet
from kdcompress.runs.artefacts import export_files

MISSING = [name for name in ("ncnn", "pnnx") if importlib.util.find_spec(name) is None]  # pnnx itself imports PyTorch
pytestmark = pytest.mark.skipif(bool(MISSING), reason="ncnn or pnnx is not installed (the extra `ncnn`)")

SHAPE = (12, 10, 3)
METADATA_OF = {"kdcompress": "0", "classes": ["a", "b", "c"]}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), np.uint8)


def network(*middle: Any) -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    ends = [layers.Flatten(), layers.Dense(3, name="logits")]
    return keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255), *middle, *ends])


def written(model: Any, path: Path, precision: str = "fp32") -> Path:
    make_format("ncnn").write(freeze(model, SHAPE), path, precision, Options(), None, METADATA_OF)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with a convolution of padding on one side, which its converter leaves as an operator of its own."""
    layers = keras.layers
    middle = [layers.Conv2D(8, 3, strides=2, padding="same"), layers.BatchNormalization(), layers.ReLU(6)]
    return written(network(*middle), tmp_path_factory.mktemp("ncnn") / "model.ncnn")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """A copy, to damage."""
    return Path(shutil.copytree(folder, tmp_path / "copy.ncnn"))


def test_a_run_is_exported_compared_timed_and_used(finished: Path, tmp_path: Path) -> None:
    result = kdcompress.export(finished, "ncnn", "all")
    assert result["passed"]
    assert [one["path"] for one in result["artefacts"]] == ["exports/student-fp32.ncnn", "exports/student-fp16.ncnn"]
    parity = {one["precision"]: one["parity"]["max_abs_diff"] for one in result["artefacts"]}
    assert parity["fp32"] < 1e-4 < parity["fp16"]
    exported = finished / "exports" / "student-fp32.ncnn"
    assert sorted(path.name for path in exported.iterdir()) == [METADATA, WEIGHTS, GRAPH]
    assert kdcompress.verify(finished)["passed"]
    timed = kdcompress.bench(finished, threads=[1], batch_sizes=[1, 3], duration=0.03)
    assert {model["name"] for model in timed["models"]} == {"teacher", "student"}
    assert {model["runtime"] for model in timed["models"]} == {"ncnn"}
    alone = kdcompress.bench(exported, threads=[2], duration=0.03)
    assert alone["models"][0]["precision"] == "fp32"
    assert alone["models"][0]["bytes"] == sum(path.stat().st_size for path in exported.iterdir())
    assert kdcompress.export(finished, "ncnn")["passed"]  # in place of what is there


def test_a_bundle_takes_the_folder_and_the_runtime(finished: Path, tmp_path: Path) -> None:
    kdcompress.export(finished, "ncnn", parity_samples=20)
    kdcompress.bundle(finished, out=tmp_path / "pi.pyz", images=4)
    command = [sys.executable, "pi.pyz", "--threads", "1", "--duration", "0.03", "--out", "pi.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "pi.json").read_text())
    assert [(one["path"], one["runtime"], one["identical"]) for one in result["parity"]] == [
        ("teacher.ncnn", "ncnn", True),
        ("exports/student-fp32.ncnn", "ncnn", True),
    ]


def test_ncnn_alone_reads_the_two_files(folder: Path) -> None:
    import ncnn

    net = ncnn.Net()
    net.load_param(str(folder / GRAPH))
    net.load_model(str(folder / WEIGHTS))
    image = IMAGES[0].astype(np.float32)
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(image).clone())
    _, logits = extractor.extract("out0")
    np.testing.assert_allclose(np.array(logits), open_exported(folder).run(IMAGES[:1])[0], rtol=1e-2)


def test_a_batch_is_run_image_by_image_on_any_number_of_threads(folder: Path) -> None:
    images = IMAGES.astype(np.float32)
    whole = NcnnNet(folder, threads=1)(images)
    assert whole.shape == (6, 3)
    single = np.concatenate([NcnnNet(folder, threads=2)(images[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(whole, single, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(open_exported(folder).run(IMAGES[::-1])[::-1], whole)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Activation softsign", "operator Softsign of layer subject;"),
        ("AveragePooling2D same", "operator AveragePool of layer subject;"),
        ("Activation glu", "ncnn cannot run what pnnx made of this network"),
        ("Activation sparsemax", "pnnx, ncnn's converter, fails on this network"),
    ],
)
def test_what_ncnn_cannot_take_is_refused_by_name(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        kdcompress.export(layer_zoo.ZOO[name](), "ncnn", out=tmp_path / "out", input_shape=layer_zoo.SHAPE)
    assert "export another --format" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_it_is_written_where_it_is_named_and_its_packages_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [job.name for job in make_export_request("all").jobs] == ["onnx", "saved-model", "tflite"]
    assert [job.precision for job in make_export_request("ncnn", "all").jobs] == ["fp32", "fp16"]
    monkeypatch.setitem(sys.modules, "pnnx", None)
    with pytest.raises(ExportError, match=r"with pnnx, which is not installed; pnnx: pip install --no-deps pnnx"):
        kdcompress.export(network(), "ncnn", out=tmp_path / "one", input_shape=SHAPE)
    both = kdcompress.export(network(), ["ncnn", "onnx"], out=tmp_path / "both", input_shape=SHAPE)
    assert [one["format"] for one in both["artefacts"]] == ["onnx"]
    assert [one["format"] for one in both["failures"]] == ["ncnn"]
    assert not both["passed"]


def test_a_converter_or_a_trial_that_does_not_end_is_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_TIMEOUT_S", 0.01)
    with pytest.raises(ExportError, match=r"cannot run what pnnx made of this network \(no end within 0.01 s\)"):
        trial.try_run(folder)
    monkeypatch.setattr(conversion, "_TIMEOUT_S", 0.001)
    with pytest.raises(ExportError, match=r"pnnx, ncnn's converter, did not end within 0.001 s"):
        written(network(), tmp_path / "late.ncnn")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def changed(before: str, after: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        (GRAPH, Path.unlink, r"has no model.ncnn.param"),
        (WEIGHTS, Path.unlink, r"has no model.ncnn.bin"),
        (METADATA, Path.unlink, r"has no metadata.json"),
        (METADATA, cut, r"its metadata are damaged"),
        (METADATA, changed("12", "-12"), r"its metadata tell no shape of an image"),
        (METADATA, changed("12", "1e1"), r"its metadata tell no shape of an image"),
        (WEIGHTS, cut, r"copy.ncnn cannot be opened by ncnn: its graph or its weights are damaged"),
        (WEIGHTS, empty, r"copy.ncnn cannot be opened by ncnn: its graph or its weights are damaged"),
        (GRAPH, empty, r"is no graph of ncnn, or damaged"),
        (GRAPH, cut, r"is no graph of ncnn, or damaged|is damaged at|must compute out0 from in0"),
        (GRAPH, changed("7767517", "7767518"), r"is no graph of ncnn, or damaged"),
        (GRAPH, changed("Convolution", "Convolutiom"), r"has operator Convolutiom, which this ncnn lacks"),
        (GRAPH, changed(" 1 1 in0", " 1 1 in7"), r"is damaged at 'BinaryOp"),
        (GRAPH, changed(" 1 1 in0", " 1 999999999 in0"), r"is damaged at 'BinaryOp"),
        (GRAPH, changed(" 1 1 in0", " -1 1 in0"), r"is damaged at 'BinaryOp"),
        (GRAPH, changed("out0", "out1"), r"must compute out0 from in0"),
    ],
)
def test_damaged_folders_are_refused_by_name(
    name: str, damage: Callable[[Path], None], words: str, copied: Path
) -> None:
    damage(copied / name)
    with pytest.raises(ModelError, match=words) as caught:
        open_exported(copied)
    assert str(copied) in str(caught.value)


def test_other_shapes_and_files_are_refused(folder: Path, tmp_path: Path) -> None:
    runtime = make_runtime("ncnn")
    with pytest.raises(ModelError, match=r"on images \(1, 5, 5, 3\): it takes \(12, 10, 3\)"):
        runtime.open(folder, 1, (1, 5, 5, 3))
    file = tmp_path / "file.ncnn"
    file.write_bytes(b"x")
    with pytest.raises(ModelError, match=r"file.ncnn is no folder of ncnn files"):
        runtime.signature(file)
    assert runtime.operators(folder, 1, IMAGES) is None


def test_what_export_wrote_is_deleted_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    shutil.copytree(folder, exports / "student-fp32.ncnn")
    (exports / "student-fp32.ncnn" / "notes.txt").write_text("mine")
    shutil.copytree(folder, exports / "student-fp16.ncnn")
    shutil.copytree(folder, exports / "other.ncnn")
    remaining = export_files("student").delete(exports)
    assert sorted(remaining) == ["other.ncnn", "student-fp32.ncnn/notes.txt"]
    assert not (exports / "student-fp16.ncnn").exists()
    assert len(list((exports / "other.ncnn").iterdir())) == 3


def test_the_metadata_tell_what_the_files_do_not(folder: Path) -> None:
    document = json.loads((folder / METADATA).read_text())
    assert document["input"]["shape"] == list(SHAPE)
    assert document["precision"] == "fp32"
    assert open_exported(folder).classes == ["a", "b", "c"]
    signature = make_runtime("ncnn").signature(folder)
    assert (signature.sizes, signature.precision) == ((None, *SHAPE), "fp32")
