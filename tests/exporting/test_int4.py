from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import Input, Sequential, layers, utils
from PIL import Image

import kdcompress
from kdcompress.errors import ExportError, UsageError
from kdcompress.exporting import Options, make_format, open_exported
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference, check_parity

FORMATS = ("onnx", "tflite")


def write(network: Network, folder: Path, name: str, images: np.ndarray | None, **options: Any) -> Path:
    path = folder / f"model-int4{make_format(name).suffix}"
    make_format(name).write(network, path, "int4", Options(**options), images, {})
    return path


@pytest.fixture(scope="module")
def dense() -> Network:
    """A stack of dense layers with random weights and biases."""
    utils.set_random_seed(0)
    hidden = [layers.Dense(128, activation="relu", bias_initializer="normal", name=f"dense{i}") for i in range(2)]
    model = Sequential([Input((16, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten(), *hidden, layers.Dense(10)])
    return freeze(model, (16, 8, 1))


@pytest.mark.parametrize("name", FORMATS)
def test_weights_of_dense_layers_take_half_a_byte(name: str, dense: Network, tmp_path: Path) -> None:
    path, full = write(dense, tmp_path, name, None), tmp_path / f"full{make_format(name).suffix}"
    make_format(name).write(dense, full, "fp32", Options(), None, {})
    weights = 128 * 128 * 2 + 128 * 10
    overhead = full.stat().st_size - 4 * weights
    assert path.stat().st_size < 0.65 * weights + overhead + 2000
    images = np.random.default_rng(0).integers(0, 256, (70, 16, 8, 1), np.uint8)
    logits, exact = open_exported(path).run(images), dense.run(images)
    assert np.abs(logits - exact).max() < 0.2 * np.abs(exact).max()
    for row in (0, 69):
        assert np.allclose(open_exported(path).run(images[row : row + 1])[0], logits[row], atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_convolutions_become_int8_beside_dense_layers_of_four_bits(
    name: str, network: Network, calibration: np.ndarray, reference: Reference, tmp_path: Path
) -> None:
    path = write(network, tmp_path, name, calibration)
    assert check_parity(open_exported(path), reference, "int4", 0.03)["passed"]
    if name == "onnx":
        model = onnx.load(path)
        kinds = {one.name: onnx.helper.tensor_dtype_to_np_dtype(one.data_type).name for one in model.graph.initializer}
        convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
        assert len(convolutions) == 2
        assert [node.op_type for node in model.graph.node].count("MatMulNBits") == 1
        assert "int8" in kinds.values()
        assert {entry.domain for entry in model.opset_import} == {"", "com.microsoft"}
    else:
        assert operators(path)["CONV_2D"] == {"int8", "int32"}
        assert operators(path)["FULLY_CONNECTED"] == {"float32", "int8"}, "four bits are packed into int8"
        assert {one["dtype"] for one in ends(path)} == {np.float32}


def ends(path: Path) -> list[dict[str, Any]]:
    interpreter = Interpreter(str(path))
    return [*interpreter.get_input_details(), *interpreter.get_output_details()]


def operators(path: Path) -> dict[str, set[str]]:
    """The data types that each kind of operator of a TFLite file reads and writes."""
    interpreter = Interpreter(str(path))
    kinds = {detail["index"]: detail["dtype"].__name__ for detail in interpreter.get_tensor_details()}
    return {
        one["op_name"]: {kinds[index] for index in (*one["inputs"], *one["outputs"]) if index in kinds}
        for one in interpreter._get_ops_details()
    }


def test_convolutions_of_four_bits_are_on_request_and_of_tflite_only(
    network: Network, calibration: np.ndarray, tmp_path: Path
) -> None:
    mixed = write(network, tmp_path, "tflite", calibration).stat().st_size
    path = write(network, tmp_path, "tflite", calibration, int4_convolutions=True)
    assert path.stat().st_size < mixed
    with pytest.raises(ExportError, match="leave --int4-convolutions out, or export --format tflite"):
        write(network, tmp_path, "onnx", calibration, int4_convolutions=True)
    with pytest.raises(UsageError, match="--int4-convolutions is for --precision int4"):
        kdcompress.export("model.keras", "tflite", "int8", int4_convolutions=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_network_without_dense_layers_is_refused_by_one_line(name: str, tmp_path: Path) -> None:
    head = [layers.Conv2D(2, 1), layers.GlobalAveragePooling2D()]
    model = Sequential([Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), *head])
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)
    with pytest.raises(ExportError, match="int4: the model has no dense layer, and only these get 4 bits"):
        write(freeze(model, (8, 8, 1)), tmp_path, name, images)


def test_onnx_no_smaller_than_int8_is_refused_with_both_sizes(tmp_path: Path) -> None:
    utils.set_random_seed(0)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    model = Sequential([Input((8, 8, 1)), layers.Conv2D(32, 5, activation="relu"), layers.Conv2D(32, 3), *head])
    with pytest.raises(ExportError, match=r"with 0.0\d\d MB it is not smaller than int8 with 0.0\d\d MB"):
        write(freeze(model, (8, 8, 1)), tmp_path, "onnx", None)


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnx_ir"), ("tflite", "ai_edge_quantizer")])
def test_a_missing_package_is_one_line_with_the_extra(
    name: str, package: str, dense: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(module: str, *arguments: Any, **keywords: Any) -> Any:
        if module.split(".")[0] == package or module == "onnxruntime.quantization.matmul_nbits_quantizer":
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(module, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ExportError, match=r"which is not installed: pip install 'kdcompress\[int4\]'"):
        write(dense, tmp_path, name, None)


def test_precision_all_leaves_int4_out_where_it_is_no_gain(finished: Path, recorder: Any) -> None:
    result = kdcompress.export(finished, FORMATS, "all", progress=recorder)
    assert result["failures"] == []
    written = {entry["format"] for entry in result["artefacts"] if entry["precision"] == "int4"}
    skipped = {note.split()[0] for note in recorder.notes if " int4: " in note and note.endswith("; skipped")}
    assert written | skipped == set(FORMATS)
    assert not written & skipped


@pytest.mark.parametrize("name", FORMATS)
def test_int4_files_are_predicted_and_counted_like_others(name: str, finished: Path) -> None:
    result = kdcompress.export(finished, name, "int4", max_metric_drop=1)
    path = finished / result["artefacts"][0]["path"]
    assert path.name.startswith("student-int4.")
    costs, full = kdcompress.verify(path), kdcompress.verify(finished / "student.keras")
    assert costs["model"]["macs"] == full["model"]["macs"]
    assert costs["model"]["params"] <= full["model"]["params"]
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)).save(finished / "digit.png")
    assert len(kdcompress.predict(path, [finished / "digit.png"])) == 1


def test_what_ai_edge_quantizer_prints_does_not_reach_stdout(finished: Path) -> None:
    code = f"import kdcompress; kdcompress.export({str(finished)!r}, 'tflite', 'int4', max_metric_drop=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == ""
