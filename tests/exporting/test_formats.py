from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import Input, Sequential, layers

from kdcompress import registry
from kdcompress.digests import content_digest
from kdcompress.errors import ExportError, ModelError
from kdcompress.exporting import Options, find_format, make_format, open_exported
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference, check_parity

FORMATS = [name for name in registry.choices("formats") if not make_format(name).extra]
KINDS = [(name, precision) for name in FORMATS for precision in make_format(name).precisions]
METADATA = {"kdcompress": "1", "classes": [str(digit) for digit in range(10)], "input": {"range": [0, 255]}}


def write(network: Network, folder: Path, name: str, precision: str, images: np.ndarray | None, **options: Any) -> Path:
    path = folder / f"model-{precision}{make_format(name).suffix}"
    make_format(name).write(network, path, precision, Options(**options), images, METADATA)
    return path


@pytest.mark.parametrize(("name", "precision"), KINDS)
def test_every_format_and_precision_computes_the_same(
    name: str, precision: str, network: Network, reference: Reference, calibration: np.ndarray, tmp_path: Path
) -> None:
    path = write(network, tmp_path, name, precision, calibration)
    opened = open_exported(path)
    verdict = check_parity(opened, reference, precision, max_metric_drop=0.01)
    assert verdict["passed"], verdict["reasons"]
    assert verdict["parity"]["n"] == 500
    assert verdict["parity"]["batch_sizes"] == [1, 64]
    assert (verdict["parity"]["max_abs_diff"] < 1e-4 * np.abs(reference.logits).max()) == (precision == "fp32")
    assert opened.classes == METADATA["classes"]
    assert opened.input_shape == (28, 28, 1)


@pytest.mark.parametrize("opset", [13, 15, 17, 18])
def test_onnx_names_opset_and_batch_are_as_promised(opset: int, network: Network, tmp_path: Path) -> None:
    path = write(network, tmp_path, "onnx", "fp32", None, opset=opset)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", opset)]
    (image,), (logits,) = model.graph.input, model.graph.output
    assert (image.name, logits.name) == ("image", "logits")
    assert image.type.tensor_type.shape.dim[0].dim_param == logits.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert {entry.key: entry.value for entry in model.metadata_props}["classes"] == json.dumps(METADATA["classes"])
    assert not any(node.op_type in ("Dropout", "Shape", "Loop", "If") for node in model.graph.node)


def test_onnx_int8_stores_its_weights_as_int8(network: Network, calibration: np.ndarray, tmp_path: Path) -> None:
    sizes = {
        precision: write(network, tmp_path, "onnx", precision, calibration).stat().st_size
        for precision in ("fp32", "fp16")
    }
    path = write(network, tmp_path, "onnx", "int8", calibration)
    model = onnx.load(path)
    weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in model.graph.initializer}
    big = {name: weight for name, weight in weights.items() if weight.size >= 100}
    assert {weight.dtype.name for weight in big.values()} == {"int8"}
    # 7 bits of range, and a scale for each channel
    assert max(np.abs(weight.astype(int)).max() for weight in big.values()) <= 64
    scales = [node.input[1] for node in model.graph.node if node.input[0] in big]
    assert all(weights[name].size > 1 for name in scales)
    assert any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    assert sizes["fp16"] < sizes["fp32"]


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn"])
def test_an_int8_file_has_at_most_26_hundredths_of_the_bytes(
    name: str, calibration: np.ndarray, tmp_path: Path
) -> None:
    zoo = freeze(registry.load("models", name).build((28, 28, 1), 10), (28, 28, 1))
    full, small = (write(zoo, tmp_path, "onnx", p, calibration).stat().st_size for p in ("fp32", "int8"))
    assert small / full <= 0.26


def test_tflite_int8_is_integers_from_end_to_end(network: Network, calibration: np.ndarray, tmp_path: Path) -> None:
    interpreter = Interpreter(str(write(network, tmp_path, "tflite", "int8", calibration)))
    kinds = {detail["dtype"].__name__ for detail in interpreter.get_tensor_details()}
    assert kinds <= {"int8", "int32"}


@pytest.mark.parametrize("kind", ["int8", "uint8", "float32"])
def test_tflite_int8_takes_and_gives_what_was_asked_for(
    kind: str, network: Network, calibration: np.ndarray, reference: Reference, tmp_path: Path
) -> None:
    path = write(network, tmp_path, "tflite", "int8", calibration, input_type=kind)
    interpreter = Interpreter(str(path))
    assert interpreter.get_input_details()[0]["dtype"].__name__ == kind
    assert interpreter.get_output_details()[0]["dtype"].__name__ == kind
    assert check_parity(open_exported(path), reference, "int8", 0.01)["passed"]


def test_tflite_has_named_tensors_and_no_foreign_operator(network: Network, tmp_path: Path) -> None:
    interpreter = Interpreter(str(write(network, tmp_path, "tflite", "fp32", None)))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    names = [operator["op_name"] for operator in interpreter._get_ops_details()]
    assert not any("Flex" in name or name in ("CUSTOM", "VAR_HANDLE", "SHAPE") for name in names)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_the_same_model_gives_the_same_bytes(
    name: str, precision: str, classifier: Any, calibration: np.ndarray, tmp_path: Path
) -> None:
    digests = set()
    for turn in range(2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        digests.add(content_digest(write(freeze(classifier, (28, 28, 1)), folder, name, precision, calibration)))
    assert len(digests) == 1


def test_another_process_gives_the_same_onnx_bytes(classifier: Any, tmp_path: Path) -> None:
    keras.Model.save(classifier, tmp_path / "model.keras")
    code = (
        "import keras, pathlib\n"
        "from kdcompress.exporting import Options, make_format\n"
        "from kdcompress.exporting._network import freeze\n"
        f"model = keras.saving.load_model({str(tmp_path / 'model.keras')!r}, compile=False)\n"
        "make_format('onnx').write(freeze(model, (28, 28, 1)), pathlib.Path('out.onnx'), 'fp32', Options(), None, {})\n"
    )
    # Its sets of text are in another order
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, capture_output=True)
    model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    make_format("onnx").write(freeze(model, (28, 28, 1)), tmp_path / "here.onnx", "fp32", Options(), None, {})
    assert (tmp_path / "out.onnx").read_bytes() == (tmp_path / "here.onnx").read_bytes()


@keras.saving.register_keras_serializable("tests")
class InverseError(layers.Layer):
    """Uses an operator that neither ONNX nor TFLite has."""

    def call(self, inputs: Any) -> Any:
        import tensorflow as tf

        return tf.math.erfinv(tf.clip_by_value(inputs, -0.9, 0.9))


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_what_cannot_be_expressed_is_named_by_operator_and_layer(name: str, tmp_path: Path) -> None:
    model = Sequential([Input((4, 4, 1)), layers.Flatten(), InverseError(name="odd_one"), layers.Dense(2)])
    with pytest.raises(ExportError, match="operator Erfinv of layer odd_one"):
        write(freeze(model, (4, 4, 1)), tmp_path, name, "fp32", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "ConvLSTM2D"])
@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_recurrent_layers_are_refused_by_name_without_converter_text(name: str, layer: str, tmp_path: Path) -> None:
    arguments = (3, 3) if layer == "ConvLSTM2D" else (3,)
    recurrent = getattr(layers, layer)(*arguments, name="memory")
    shape = (4, 8, 8, 1) if layer == "ConvLSTM2D" else (16, 16)
    model = Sequential([Input((16, 16, 1)), layers.Reshape(shape), recurrent, layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ExportError, match=r"cannot express .*layer memory; replace .* export another") as caught:
        write(freeze(model, (16, 16, 1)), tmp_path, name, "fp32", None)
    assert len(str(caught.value)) < 120


def test_a_layer_that_int8_would_compute_in_float_is_named(tmp_path: Path) -> None:
    head = [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    norm = layers.LayerNormalization(name="norm")
    model = Sequential([Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), norm, *head])
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)
    with pytest.raises(ExportError, match=r"of layer norm would compute in float; .* or export --precision dynamic"):
        write(freeze(model, (8, 8, 1)), tmp_path, "tflite", "int8", images)


@pytest.mark.parametrize("name", registry.choices("formats"))
def test_a_file_that_is_no_model_is_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{make_format(name).suffix}"
    path.write_text("no model")
    with pytest.raises(ModelError, match="broken") as caught:
        open_exported(path)
    assert "\n" not in str(caught.value)


def test_formats_are_told_by_name() -> None:
    assert type(find_format(Path("a.onnx"))) is type(make_format("onnx"))
    assert type(find_format(Path("a.ONNX"))) is type(make_format("onnx"))
    assert find_format(Path("a.keras")) is None
    with pytest.raises(ModelError, match="does not exist"):
        open_exported(Path("nowhere.onnx"))
