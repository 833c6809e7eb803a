"""ONNX files: built by hand (NCHW), exported (NHWC), quantized, split, damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from keras import layers
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.verification.costs import cost_of_file, cost_of_model


def constant(name: str, *shape: int) -> Any:
    return numpy_helper.from_array(np.random.default_rng(0).normal(size=shape).astype(np.float32), name)


def write(path: Path, nodes: list[Any], weights: list[Any], image: tuple[Any, ...]) -> Path:
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)]
    outputs = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def torch_like(path: Path, image: tuple[Any, ...] = ("batch", 3, 8, 8)) -> Path:
    """NCHW: scaled pixels, a strided and a grouped convolution, BatchNorm, a transposed one, a Gemm of 5 classes."""
    nodes = [
        helper.make_node("Div", ["image", "std"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w1", "b1"], ["c1"], "first", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c1", "w2"], ["c2"], "grouped", group=2),
        helper.make_node("BatchNormalization", ["c2", "g", "b", "m", "v"], ["n"], "norm"),
        helper.make_node("Clip", ["n", "low", "high"], ["r"]),
        helper.make_node("ConvTranspose", ["r", "w3"], ["t"], "up", strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["t"], ["p"]),
        helper.make_node("Constant", [], ["w4"], value=constant("", 5, 2)),
        helper.make_node("Reshape", ["p", "flat"], ["f"]),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"], "head", transB=1),
    ]
    weights = [constant("std", 1, 3, 1, 1), constant("w1", 4, 3, 3, 3), constant("b1", 4), constant("w2", 6, 2, 1, 1)]
    weights += [constant(name, 6) for name in "gbmv"] + [constant("w3", 6, 2, 3, 3), constant("b4", 5)]
    weights += [constant("low"), constant("high"), numpy_helper.from_array(np.array([-1, 2]), "flat")]
    return write(path, nodes, weights, image)


MACS = {"first": 16 * 4 * 27, "grouped": 16 * 6 * 2, "up": 16 * 6 * 2 * 9, "head": 10}
PARAMS = {"first": 108 + 4, "grouped": 12, "norm": 24, "up": 108, "head": 10 + 5}


def test_nchw_by_hand(tmp_path: Path) -> None:
    cost = cost_of_file(torch_like(tmp_path / "m.onnx"), None)
    assert {layer.name: layer.macs for layer in cost.layers if layer.macs} == MACS
    assert {layer.name: layer.params for layer in cost.layers} == PARAMS
    assert (cost.macs, cost.params, cost.weight_bytes) == (3658, 271, 1084)
    assert (cost.input_shape, cost.flops, cost.trainable, cost.warnings) == ((8, 8, 3), None, None, ())
    assert sum(row["share"] for row in cost.to_dict()["layers"]) == pytest.approx(1)


def test_an_open_size_is_asked_for(tmp_path: Path) -> None:
    path = torch_like(tmp_path / "m.onnx", ("batch", 3, "height", "width"))
    with pytest.raises(ModelError, match=r"images of \?x\?x3, .*pass --input-shape H,W,C"):
        cost_of_file(path, None)
    assert cost_of_file(path, (8, 8, 3)).macs == 3658
    assert cost_of_file(path, (16, 16, 3)).macs == 4 * (3658 - 10) + 10
    with pytest.raises(ModelError, match=r"takes \?x3x\?x\?, --input-shape 8,8,1"):
        cost_of_file(path, (8, 8, 1))


def test_a_layout_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", [helper.make_node("Relu", ["image"], ["y"])], [], (1, 3, 3, 3))
    with pytest.raises(ModelError, match="channel axis cannot be told"):
        cost_of_file(path, None)


def test_one_batch_of_images_goes_in(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", [helper.make_node("Relu", ["image"], ["y"])], [], (1, 12))
    with pytest.raises(ModelError, match="one input, a batch of images of rank 4, got image of rank 2"):
        cost_of_file(path, None)


def export(model: Any, path: Path) -> Path:
    """By tf2onnx, with weights that are all different: it leaves out biases of zero."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")]
    tf2onnx.convert.from_function(
        tf.function(lambda image: model(image, training=False)), signature, opset=17, output_path=str(path)
    )
    return path


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_mlp"])
def test_the_paper_s_mnist_models_keep_their_counts(name: str, tmp_path: Path) -> None:
    model = registry.load("models", name).build((28, 28, 1), 10)
    cost, original = cost_of_file(export(model, tmp_path / "m.onnx"), None), cost_of_model(model, None)
    assert (cost.params, cost.macs, cost.input_shape) == (original.params, original.macs, (28, 28, 1))
    assert (cost.weight_bytes, cost.warnings) == (original.weight_bytes, ())


def test_of_batchnorm_s_four_vectors_the_exporter_leaves_two(tmp_path: Path) -> None:
    parts = [layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU(), layers.Flatten(), layers.Dense(5)]
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), *parts])
    cost = cost_of_file(export(model, tmp_path / "m.onnx"), None)
    assert model.count_params() - cost.params == 2 * 6
    assert cost.macs == 36 * 6 * 27 + 216 * 5


class Attention(layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.heads = layers.Reshape((64, 4)), layers.MultiHeadAttention(2, 3, use_bias=False)

    def call(self, image: Any) -> Any:
        tokens = self.tokens(image)
        return self.heads(tokens, tokens)


def test_shapes_that_onnx_cannot_infer_are_observed(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 4)), Attention()])
    cost = cost_of_file(export(model, tmp_path / "m.onnx"), None)
    assert (cost.params, cost.macs) == (4 * 24, 4 * 64 * 4 * 6 + 2 * 64 * 64 * 6)


class Blank(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.images = iter([{"image": rng.uniform(0, 255, (1, 12, 12, 3)).astype(np.float32)} for _ in range(3)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.images, None)


def small(path: Path) -> Path:
    parts = [layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(5)]
    return export(keras.Sequential([keras.Input((12, 12, 3)), *parts]), path)


PARAMS_SMALL, MACS_SMALL = 112 + 2005, 100 * 4 * 27 + 2000


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_int8_weights_count_once_and_their_scales_never(tmp_path: Path, form: QuantFormat, per_channel: bool) -> None:
    names = small(tmp_path / "f.onnx"), tmp_path / "q.onnx"
    quantize_static(*names, Blank(), quant_format=form, per_channel=per_channel, weight_type=QuantType.QInt8)
    cost = cost_of_file(tmp_path / "q.onnx", None)
    assert (cost.params, cost.macs, cost.input_shape) == (PARAMS_SMALL, MACS_SMALL, (12, 12, 3))
    assert 2108 < cost.weight_bytes < 2108 + 4 * 10  # int8 kernels; biases stay 4 bytes wide, or become int8


def test_dynamic_int8_counts_alike(tmp_path: Path) -> None:
    quantize_dynamic(small(tmp_path / "f.onnx"), tmp_path / "q.onnx", per_channel=True)
    kinds = {node.op_type for node in onnx.load(tmp_path / "q.onnx").graph.node}
    assert kinds >= {"MatMulInteger", "ConvInteger"}
    cost = cost_of_file(tmp_path / "q.onnx", None)
    assert (cost.params, cost.macs) == (PARAMS_SMALL, MACS_SMALL)


def test_external_weights_count_and_are_missed(tmp_path: Path) -> None:
    model = onnx.load(torch_like(tmp_path / "m.onnx"))
    split = tmp_path / "split.onnx"
    onnx.save_model(model, split, save_as_external_data=True, location="weights.bin", size_threshold=0)
    cost = cost_of_file(split, None)
    assert (cost.params, cost.weight_bytes) == (271, 1084)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded as an ONNX model: .*weights\.bin"):
        cost_of_file(split, None)


@pytest.mark.parametrize("content", [b"", b"not a protocol buffer", None])
def test_a_damaged_file_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = torch_like(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    with pytest.raises(ModelError, match=r"cannot be loaded as an ONNX model: .+") as caught:
        cost_of_file(path, None)
    assert "\n" not in str(caught.value)


def test_control_flow_is_not_silently_nothing(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["out"])],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    choice = numpy_helper.from_array(np.array(True), "choice")
    node = helper.make_node("If", ["choice"], ["y"], then_branch=branch, else_branch=branch)
    cost = cost_of_file(write(tmp_path / "m.onnx", [node], [choice], (1, 3, 8, 8)), None)
    assert cost.warnings == ("not counted: MACs of If",)
