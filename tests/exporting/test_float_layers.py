from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import Input, Model, Sequential, layers, utils

import kdcompress
from kdcompress.errors import ExportError, UsageError
from kdcompress.exporting import Options, make_format, open_exported
from kdcompress.exporting._layers import owner_of
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference, check_parity

LAYERS = ("conv", "depthwise", "residual", "head")
LAYERS_OF = {"onnx": ("scale", *LAYERS), "tflite": LAYERS}  # TFLite's converter folds the scale


def write(network: Network, folder: Path, name: str, images: np.ndarray, *floats: str, **options: Any) -> Path:
    path = folder / f"model{make_format(name).suffix}"
    make_format(name).write(network, path, "int8", Options(float_layers=floats, **options), images, {})
    return path


def float_operators(path: Path) -> list[str]:
    """The operators of a TFLite file that read or write float32, in their order."""
    interpreter = Interpreter(str(path))
    kinds = {detail["index"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    operators = interpreter._get_ops_details()
    floats = [one for one in operators if np.float32 in {kinds.get(i) for i in (*one["inputs"], *one["outputs"])}]
    return [one["op_name"] for one in floats if one["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "DELEGATE")]


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_layers_of_an_int8_file_carry_the_names_of_the_model(
    name: str, network: Network, calibration: np.ndarray
) -> None:
    int8 = make_format(name).calibrate(network, Options(), calibration)
    assert int8 is not None
    assert int8.layers == LAYERS_OF[name]


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_ranges_are_measured_once_and_every_variant_is_the_file_that_export_writes(
    name: str, network: Network, calibration: np.ndarray, reference: Reference, tmp_path: Path
) -> None:
    writer = make_format(name)
    int8 = writer.calibrate(network, Options(input_type="float32"), calibration)
    assert int8 is not None
    for floats in ((), ("head",), int8.layers):
        built = tmp_path / f"built{writer.suffix}"
        built.write_bytes(int8.build(floats))
        exported = open_exported(write(network, tmp_path, name, calibration, *floats, input_type="float32"))
        outputs = writer.open(built).run(reference.images[:50])
        assert np.array_equal(outputs, exported.run(reference.images[:50])), floats
    assert int8.build(()) == int8.build(())
    assert check_parity(writer.open(built), reference, "fp32", 0)["passed"], "all layers in float are the float32 file"


def test_onnx_leaves_exactly_the_named_layers_in_float(
    network: Network, calibration: np.ndarray, tmp_path: Path
) -> None:
    path = write(network, tmp_path, "onnx", calibration, "norm", "head")
    weights = map(onnx.numpy_helper.to_array, onnx.load(path).graph.initializer)
    kernels = [one.dtype.name for one in weights if one.size >= 100]
    assert kernels == ["float32", "int8", "float32"], "conv, depthwise and head"


def test_onnxruntime_does_not_quantize_a_float_layer_itself(tmp_path: Path) -> None:
    """Its optimizer would, with one scale for all channels, of which one is 10,000 times larger here."""
    depthwise = layers.DepthwiseConv2D(3, name="depthwise")
    stack = [depthwise, layers.BatchNormalization(name="norm"), layers.ReLU(max_value=6), layers.Conv2D(8, 1)]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3, name="head")]
    utils.set_random_seed(0)
    model = Sequential([Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3, name="conv"), *stack, *head])
    scale = np.array([1e4, *[1] * 7], np.float32)
    kernel, bias = depthwise.get_weights()
    depthwise.set_weights([kernel * scale.reshape(-1, 1), bias])
    images, network = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8), freeze(model, (8, 8, 1))
    path = write(network, tmp_path, "onnx", images, "depthwise")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (plain,) = onnxruntime.InferenceSession(str(path), options).run(None, {"image": images.astype(np.float32)})
    optimized = open_exported(path).run(images)
    assert np.abs(optimized - plain).max() < 0.02 * np.abs(plain).max()


def test_tflite_leaves_exactly_the_named_layers_in_float(
    network: Network, calibration: np.ndarray, tmp_path: Path
) -> None:
    assert float_operators(write(network, tmp_path, "tflite", calibration)) == []
    assert float_operators(write(network, tmp_path, "tflite", calibration, "head")) == ["FULLY_CONNECTED"]
    assert float_operators(write(network, tmp_path, "tflite", calibration, "norm")) == ["CONV_2D"]


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_unknown_layers_are_one_line_with_the_names(
    name: str, network: Network, calibration: np.ndarray, tmp_path: Path
) -> None:
    pattern = r"--float: layer 'haed' is unknown \(did you mean 'head'\?\); layers of the int8 file: .*conv, depthwise"
    with pytest.raises(ExportError, match=pattern):
        write(network, tmp_path, name, calibration, "haed")
    with pytest.raises(ExportError, match="'dropout' is computed with others"):
        write(network, tmp_path, name, calibration, "dropout")


def test_a_batch_normalization_is_computed_with_its_convolution_and_no_other() -> None:
    image = Input((8, 8, 1))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    y = layers.Add(name="sum")([x, layers.ReLU(name="other")(layers.MaxPooling2D(1, name="pool")(x))])
    y = layers.BatchNormalization(name="behind_sum")(y)
    network = freeze(Model(image, layers.Dense(2, name="head")(layers.Flatten()(y))), (8, 8, 1))
    owner = owner_of(network)
    assert {name: owner(name) for name in ("norm", "relu", "other", "behind_sum", "head")} == {
        "norm": "conv", "relu": "conv", "other": "other", "behind_sum": "behind_sum", "head": "head",
    }  # fmt: skip


def test_float_layers_of_a_run_are_listed_and_its_file_is_checked_like_any(finished: Path) -> None:
    result = kdcompress.export(finished, float_layers="dense_1")
    assert [(entry["precision"], entry["float_layers"]) for entry in result["artefacts"]] == [("int8", ["dense_1"])] * 2
    assert result["passed"]
    path = finished / result["artefacts"][0]["path"]
    assert path.name == "student-int8.onnx"
    assert result["artefacts"][0]["gzip_bytes"] == pytest.approx(len(gzip.compress(path.read_bytes(), 6)), rel=0.01)
    (entry,) = kdcompress.export(finished, "onnx", "int8")["artefacts"]
    assert entry["float_layers"] == []


def test_float_layers_without_int8_are_refused(finished: Path) -> None:
    with pytest.raises(UsageError, match="--float is for --precision int8, which is not among fp16"):
        kdcompress.export(finished, "onnx", "fp16", float_layers=["logits"])


def test_a_layer_that_computes_in_float_beside_the_named_ones_is_refused(tmp_path: Path) -> None:
    head = [layers.GlobalAveragePooling2D(), layers.Dense(2, name="head")]
    norm = layers.LayerNormalization(name="norm")
    model = Sequential([Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, name="conv"), norm, *head])
    images, network = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8), freeze(model, (8, 8, 1))
    with pytest.raises(ExportError, match=r"of layer norm would compute in float"):
        write(network, tmp_path, "tflite", images, "head")
    assert "MUL" in float_operators(write(network, tmp_path, "tflite", images, "norm"))
