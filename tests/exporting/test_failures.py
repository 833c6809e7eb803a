"""One file that cannot be made, whatever a converter or runtime raises, does not stop the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import Input, Model, initializers, layers, utils
from PIL import Image
from typer.testing import CliRunner

from kdcompress import api
from kdcompress.cli._app import app
from kdcompress.errors import DataError, ExportError, ModelError
from kdcompress.exporting._failures import find_layer
from kdcompress.exporting._network import freeze
from kdcompress.formats.onnx.writer import Onnx
from kdcompress.formats.tflite.writer import TFLite


def small(path: Path, dead: Any = None) -> Path:
    utils.set_random_seed(0)
    image = Input((12, 12, 3))
    hidden = layers.Conv2D(4, 3, name="first")(layers.Rescaling(1 / 255)(image))
    if dead is not None:
        hidden = dead(hidden)
    logits = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(hidden))
    Model(image, logits).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for index in range(12):
        pixels = np.random.default_rng(index).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    return tmp_path / "photos"


KINDS = (RuntimeError, ValueError, TypeError, MemoryError, AssertionError, KeyError, ModelError)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        *(("write", kind) for kind in KINDS),
        ("open", RuntimeError),
        ("open", ModelError),
        *(pytest.param("open", kind, marks=pytest.mark.exhaustive) for kind in KINDS[1:-1]),
    ],
)
def test_whatever_is_raised_is_the_failure_of_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], method: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise kind("no\nway at functional_1/first_1/convolution:0")

    monkeypatch.setattr(TFLite, method, fail)
    result = api.export(small(tmp_path / "m.keras"), ["onnx", "tflite"])
    assert [entry["format"] for entry in result["artefacts"]] == ["onnx"]
    assert all(entry["passed"] for entry in result["artefacts"])
    assert not result["passed"]
    (failure,) = result["failures"]
    assert (failure["format"], failure["precision"]) == ("tflite", "fp32")
    if kind is not ModelError:
        assert failure["reason"].startswith(f"it failed at layer first ({kind.__name__}: ")
        assert failure["reason"].endswith("); export another --precision or --format")
        assert "\n" not in failure["reason"]
    assert sorted(path.name for path in (tmp_path / "m-exports").iterdir()) == ["exports.json", "m-fp32.onnx"]


def test_a_runtime_that_fails_on_images_is_a_failure_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Onnx.open

    def broken(self: Onnx, path: Path, threads: int = 1) -> Any:
        def run(images: Any) -> None:
            raise RuntimeError("Non-zero status code")

        return type(opened(self, path))(run, (12, 12, 3), None)

    monkeypatch.setattr(Onnx, "open", broken)
    result = api.export(small(tmp_path / "m.keras"), ["onnx", "tflite"])
    assert [entry["format"] for entry in result["artefacts"]] == ["tflite"]
    assert "Non-zero status code" in result["failures"][0]["reason"]


def test_the_table_is_shown_and_the_exit_code_is_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("somewhere")

    monkeypatch.setattr(Onnx, "write", fail)
    shown = CliRunner().invoke(app, ["export", str(small(tmp_path / "m.keras"))])
    assert shown.exit_code == 1
    assert "m-fp32.tflite " in shown.stdout
    assert "no fp32 file for onnx: it failed (ZeroDivisionError: somewhere); export another" in shown.stderr


def test_if_all_fail_every_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(reason: str) -> Any:
        def write(*_: Any, **__: Any) -> None:
            raise ExportError(reason)

        return write

    monkeypatch.setattr(Onnx, "write", fail("first"))
    monkeypatch.setattr(TFLite, "write", fail("second"))
    model = small(tmp_path / "m.keras")
    with pytest.raises(ExportError, match=r"^no file could be exported: onnx fp32: first; tflite fp32: second$"):
        api.export(model)
    monkeypatch.setattr(Onnx, "write", fail("second"))
    with pytest.raises(ExportError, match=r"^second$"):
        api.export(model)
    assert not (tmp_path / "m-exports").exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left"), DataError("an image is gone")])
def test_what_concerns_all_files_ends_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Onnx, "write", fail)
    with pytest.raises(type(error)):
        api.export(small(tmp_path / "m.keras"))


LOW = initializers.Constant(-1e4)
NEVER = {
    "relu": lambda x: layers.Conv2D(4, 3, activation="relu", bias_initializer=LOW, name="dead")(x),
    "relu, then a convolution": lambda x: layers.Conv2D(4, 3)(
        layers.Conv2D(4, 3, activation="relu", bias_initializer=LOW, name="dead")(x)
    ),
    "relu6": lambda x: layers.DepthwiseConv2D(3, activation="relu6", bias_initializer=LOW, name="dead")(x),
    "a product": lambda x: layers.Multiply()(
        [layers.Conv2D(4, 3, activation="relu", bias_initializer=LOW, name="dead")(x)] * 2
    ),
    "one branch": lambda x: layers.Add()(
        [x, layers.Conv2D(4, 1, activation="relu", bias_initializer=LOW, name="dead")(x)]
    ),
}


@pytest.mark.parametrize("shape", NEVER)
def test_a_layer_that_is_0_on_all_calibration_images_is_named(tmp_path: Path, photos: Path, shape: str) -> None:
    model = small(tmp_path / "m.keras", NEVER[shape])
    result = api.export(model, ["onnx", "tflite"], ["fp32", "int8", "dynamic"], calibration=photos)
    for failure in result["failures"]:
        assert (failure["format"], failure["precision"]) == ("tflite", "int8")
        assert failure["reason"] == (
            "TFLite int8: layer dead gives 0 on all calibration images, and LiteRT's XNNPACK refuses a tensor without "
            "a range; calibrate with other images, or export --precision dynamic"
        )
    made = {(entry["format"], entry["precision"]) for entry in result["artefacts"] if entry["passed"]}
    assert {("onnx", "fp32"), ("onnx", "int8"), ("tflite", "fp32"), ("tflite", "dynamic")} <= made
    assert len(result["artefacts"]) + len(result["failures"]) == 5
    assert result["failures"] or shape in ("relu", "relu6", "one branch")


def test_layers_are_found_in_messages(tmp_path: Path) -> None:
    import keras

    network = freeze(keras.models.load_model(small(tmp_path / "m.keras")), (12, 12, 3))
    assert find_layer("node 'functional_3/first_1/convolution' is bad", network) == "first"
    assert find_layer("functional/head_1/MatMul;functional/head_1/Add:0", network) == "head"
    assert find_layer("see /usr/lib/python3/first.py", network) is None
    assert find_layer("no names", network) is None
    assert find_layer("a/" * 1_000_000, network) is None


def test_reasons_name_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, path: Path, *_: Any) -> None:
        raise ModelError(f"{path} is damaged")

    monkeypatch.setattr(Onnx, "open", fail)
    result = api.export(small(tmp_path / "m.keras"))
    assert [failure["reason"] for failure in result["failures"]] == [
        "onnxruntime cannot open the exported file: m-fp32.onnx is damaged"
    ]
