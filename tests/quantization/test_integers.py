"""Files with trained integers against exact integers: the oracle, ONNX and TFLite give the same bits."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from int8_models import randomize
from int8_oracle import Oracle
from keras import layers

from kdcompress.errors import ExportError, RunError
from kdcompress.exporting import Options, make_format, open_exported
from kdcompress.exporting._integers import round_network
from kdcompress.exporting._network import Network, freeze
from kdcompress.formats.onnx import writer as onnx_writer
from kdcompress.formats.tflite import writer as tflite
from kdcompress.quantization import (
    KERNEL_LIMIT,
    Quantization,
    align_pixels,
    apply_rounding,
    finish_rounding,
    fold,
    start_rounding,
)

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(2).integers(0, 256, (96, *SHAPE), np.uint8)
METADATA = {"kdcompress": "1", "classes": ["a", "b", "c", "d"]}


def scaled(offset: float = 0.0) -> tuple[Any, Any]:
    image = keras.Input(SHAPE, name="image")
    return image, layers.Rescaling(1 / 127.5 if offset else 1 / 255, offset=offset, name="scale")(image)


def dense() -> Any:
    image, x = scaled()
    for units in (24, 16):
        x = layers.Dense(units, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(4, name="logits")(x))


def convolutional() -> Any:
    """A padded convolution on signed pixels, BatchNorm, depthwise convolution, pooling, dense."""
    image, x = scaled(-1.0)
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(2)(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(x)))
    x = layers.Conv2D(8, 1, activation="relu")(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(4, name="logits")(x))


def residual() -> Any:
    image, x = scaled(-1.0)
    x = first = layers.Conv2D(8, 3)(x)
    x = layers.Add()([first, layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", activation="relu")(x))])
    x = layers.Conv2D(8, 1)(x) + x
    return keras.Model(image, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def branched() -> Any:
    """Branches that meet, a squeeze-and-excite gate, and a Dense on maps."""
    image, x = scaled()
    x = layers.Conv2D(6, 3, activation="relu")(x)
    x = layers.Concatenate()([layers.Conv2D(4, 3, padding="same")(x), x])
    gate = layers.Conv2D(10, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Dense(5, activation="relu")(layers.Multiply()([x, gate]))
    return keras.Model(image, layers.Dense(4, name="logits")(layers.GlobalAveragePooling2D()(x)))


STACKS = {"dense": dense, "convolutional": convolutional, "residual": residual}


def quantize(model: Any) -> Network:
    """Round a model without training, as a network to export."""
    plain, quantization = finish_rounding(start_rounding(align_pixels(fold(randomize(model))), IMAGES))
    return freeze(plain, SHAPE, quantization=quantization)


def write(network: Network, name: str, folder: Path) -> Path:
    path = folder / f"model{make_format(name).suffix}"
    make_format(name).write(network, path, "int8", Options(), None, METADATA)
    return path


@pytest.fixture(scope="module", params=STACKS)
def network(request: pytest.FixtureRequest) -> Network:
    keras.utils.set_random_seed(0)
    return quantize(STACKS[request.param]())


@pytest.fixture(scope="module")
def files(network: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    return {name: write(network, name, folder) for name in ("onnx", "tflite")}


def test_both_files_give_the_bits_of_exact_integers(files: dict[str, Path]) -> None:
    oracle = Oracle(onnx.load(files["onnx"]).graph)
    expected = oracle.run(IMAGES)
    for name, path in files.items():
        assert np.array_equal(make_format(name).open(path).run(IMAGES), expected), name
    assert len(np.unique(expected)) > 20
    assert 0 < oracle.largest_pair < 2**15


def test_onnxruntime_computes_in_integers(files: dict[str, Path], tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimized.onnx"), 3
    onnxruntime.InferenceSession(str(files["onnx"]), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operators.count("QuantizeLinear") == operators.count("DequantizeLinear") == 1, operators
    assert not {"Conv", "FusedConv", "Gemm", "MatMul", "Add", "FusedGemm"} & set(operators)


def test_both_files_hold_the_same_integers(network: Network, files: dict[str, Path]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    weights = [onnx.numpy_helper.to_array(w) for w in onnx.load(files["onnx"]).graph.initializer]
    first = sorted(np.sort(w, axis=None).tolist() for w in weights if w.dtype == np.int8 and w.ndim > 1)
    interpreter = Interpreter(str(files["tflite"]))
    details = [d for d in interpreter.get_tensor_details() if d["dtype"] == np.int8]
    kernels = {tuple(s) for s in (len(values) * [0] for values in first)}
    second = []
    for detail in details:
        try:
            values = np.sort(interpreter.get_tensor(detail["index"]), axis=None).tolist()
        except ValueError:  # an activation
            continue
        if (0,) * len(values) in kernels and len(values) > 4:
            second.append(values)
    assert network.quantization is not None and len(first) == len(network.quantization.kernels)
    assert sorted(second) == first
    assert max(max(map(abs, values)) for values in first) <= KERNEL_LIMIT


SHARED = {
    "convolution": lambda: layers.Conv2D(8, 3, padding="same", activation="relu", name="shared"),
    "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same", activation="relu", name="shared"),
    "dense": lambda: layers.Dense(8, activation="relu", name="shared"),
}


def shared(kind: str) -> Network:
    """A network in which a layer is called three times."""
    keras.utils.set_random_seed(0)
    layer = SHARED[kind]()
    image, x = scaled()
    x = layers.Conv2D(8, 3, activation="relu")(x)
    if kind == "dense":
        x = layers.GlobalAveragePooling2D()(x)
    x = layer(layer(layer(x)))
    return quantize(keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x))))


@pytest.mark.parametrize("kind", SHARED)
def test_a_layer_that_is_called_again_keeps_its_integers(kind: str, tmp_path: Path) -> None:
    network = shared(kind)
    paths = [write(network, name, tmp_path) for name in ("onnx", "tflite")]
    first, second = (open_exported(path).run(IMAGES) for path in paths)
    assert np.array_equal(first, second) and len(np.unique(first)) > 10


def test_a_file_with_other_integers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = shared("convolution")
    monkeypatch.setattr(tflite, "round_network", lambda network, split_calls: round_network(network))
    with pytest.raises(
        ExportError, match=r"TFLite int8: the converter did not keep the trained integers of .* shared;"
    ):
        write(network, "tflite", tmp_path)
    monkeypatch.setattr(onnx_writer, "store_integers", lambda *arguments: None)
    with pytest.raises(ExportError, match="ONNX int8: the converter did not keep the trained integers of") as caught:
        write(network, "onnx", tmp_path)
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_a_range_covers_all_calls_of_its_layer() -> None:
    image, x = scaled()
    layer = layers.Dense(3, use_bias=False, kernel_initializer=keras.initializers.Identity(0.1), name="shared")
    model = keras.Model(image, layers.Dense(4)(layer(layer(layers.Flatten()(layers.AveragePooling2D(16)(x))))))
    rounded = start_rounding(fold(model), IMAGES)
    assert float(rounded.activations["shared"].high) > 0.03


def test_eight_bits_would_saturate() -> None:
    """The test of pairs can fail: with the integers of 8-bit kernels, two products exceed 16 bits."""
    rng = np.random.default_rng(0)
    oracle = Oracle(onnx.GraphProto())
    rows = np.full((4, 8), 255)
    oracle._look_at_pairs(np.vstack([rows, 0 * rows]), np.full((8, 2), 63))
    assert oracle.largest_pair == 255 * 63 * 2 < 2**15
    oracle._look_at_pairs(np.vstack([rows, 0 * rows]), rng.integers(120, 128, (8, 2)))
    assert oracle.largest_pair > 2**15


def test_files_compute_what_the_trained_network_does(network: Network, files: dict[str, Path]) -> None:
    assert network.quantization is not None
    expected = np.asarray(apply_rounding(network.model, network.quantization)(IMAGES.astype(np.float32)))
    step = network.quantization.activations["logits"].scale
    for name, path in files.items():
        difference = np.abs(make_format(name).open(path).run(IMAGES) - expected)
        assert difference.max() <= 2.01 * step and (difference > step / 2).mean() < 0.1, name


def test_other_weights_than_those_of_the_description_are_refused(tmp_path: Path) -> None:
    network = quantize(dense())
    quantization = network.quantization
    assert quantization is not None
    (name, *_) = quantization.kernels
    scales = {**quantization.kernels, name: [quantization.kernels[name][0] * 1.37]}
    other = dataclasses.replace(
        network, quantization=Quantization(kernels=scales, activations=quantization.activations)
    )
    with pytest.raises(RunError, match=f"kernel of layer {name} does not lie on its grid"):
        write(other, "onnx", tmp_path)


def test_branches_and_gates_give_equal_bits(tmp_path: Path) -> None:
    network = quantize(branched())
    logits = [make_format(name).open(write(network, name, tmp_path)).run(IMAGES) for name in ("onnx", "tflite")]
    assert np.array_equal(*logits)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_layers_without_a_counterpart_are_named_and_compute_in_float(name: str, tmp_path: Path) -> None:
    image, x = scaled()
    x = layers.Conv2D(6, 3, activation="swish", name="conv")(x)
    x = layers.Conv2D(6, 3, dilation_rate=2, name="dilated")(layers.LayerNormalization(name="norm")(x))
    network = quantize(keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x))))
    assert network.quantization is not None
    assert network.quantization.float_layers == ["conv_silu", "norm", "dilated"]
    expected = np.asarray(apply_rounding(network.model, network.quantization)(IMAGES.astype(np.float32)))
    difference = np.abs(make_format(name).open(write(network, name, tmp_path)).run(IMAGES) - expected)
    assert difference.max() < 8 * network.quantization.activations["logits"].scale


def test_onnxruntime_does_not_quantize_a_float_layer_of_a_trained_student(tmp_path: Path) -> None:
    """Its optimizer would, with one scale for all channels, of which one is 10,000 times larger here."""
    image, x = scaled()
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, dilation_rate=2, name="dilated")(x)))
    model = randomize(keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x))))
    kernel, bias = model.get_layer("dilated").get_weights()
    model.get_layer("dilated").set_weights([kernel * np.array([1e4, *[1] * 5], np.float32), bias])
    plain, quantization = finish_rounding(start_rounding(align_pixels(fold(model)), IMAGES))
    network = freeze(plain, SHAPE, quantization=quantization)
    assert quantization.float_layers == ["dilated"]
    path = write(network, "onnx", tmp_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    feed = {"image": IMAGES.astype(np.float32)}
    (expected,) = onnxruntime.InferenceSession(str(path), options).run(None, feed)
    step = quantization.activations["logits"].scale
    assert np.abs(make_format("onnx").open(path).run(IMAGES) - expected).max() < 2 * step


def test_a_channel_of_zeros_keeps_its_bias(tmp_path: Path) -> None:
    model = dense()
    kernel, _ = model.layers[3].get_weights()
    randomize(model)
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, name="conv")(image)
    model = keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x)))
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., 1] = 0
    bias[:] = 30.0
    model.get_layer("conv").set_weights([kernel, bias])
    plain, quantization = finish_rounding(start_rounding(fold(model), IMAGES))
    assert np.allclose(plain.get_layer("conv").get_weights()[1], bias, rtol=1e-4)
    network = freeze(plain, SHAPE, quantization=quantization)
    logits = [make_format(name).open(write(network, name, tmp_path)).run(IMAGES) for name in ("onnx", "tflite")]
    assert np.array_equal(*logits)
