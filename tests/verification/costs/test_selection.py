"""A teacher of which a part is used costs that part, in every kind of file, and with constants for other inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

from kdcompress.errors import ModelError
from kdcompress.teachers import Selection
from kdcompress.verification.costs import cost_of_file, cost_of_model

SHAPE = (12, 12, 3)


def branches() -> tuple[Any, Any]:
    """A model whose second output is large, and the part that the first output needs."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    shared = layers.Conv2D(4, 3, bias_initializer="ones", name="shared")(layers.Rescaling(1 / 255)(image))
    small = layers.Dense(5, bias_initializer="ones", name="small")(layers.GlobalAveragePooling2D()(shared))
    large = layers.Dense(7, name="large")(layers.Flatten()(layers.Conv2D(64, 5, name="wide")(shared)))
    return keras.Model(image, {"small": small, "large": large}), keras.Model(image, small)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The whole model as files of three kinds."""
    import tf2onnx

    folder = tmp_path_factory.mktemp("branches")
    whole, _ = branches()
    archive = keras.export.ExportArchive()
    archive.track(whole)
    archive.add_endpoint("serve", whole.call, [tf.TensorSpec((None, *SHAPE), tf.float32, name="image")])
    archive.write_out(str(folder / "saved"), verbose=False)
    (folder / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    spec = [tf.TensorSpec((None, *SHAPE), tf.float32, name="image")]
    function = tf.function(lambda image: whole(image, training=False), input_signature=spec)
    tf2onnx.convert.from_function(function, spec, opset=17, output_path=str(folder / "m.onnx"))
    return {"saved": folder / "saved", "tflite": folder / "m.tflite", "onnx": folder / "m.onnx"}


def outputs_of(kind: str, path: Path) -> list[str]:
    if kind == "onnx":
        return [value.name for value in onnx.load(path).graph.output]
    if kind == "saved":
        return list(tf.saved_model.load(str(path)).signatures["serving_default"].structured_outputs)
    interpreter = tf.lite.Interpreter(str(path))
    return [value["name"] for value in interpreter.get_output_details()]


@pytest.mark.parametrize("kind", ["saved", "onnx", "tflite"])
def test_what_another_output_needs_costs_nothing(kind: str, files: dict[str, Path]) -> None:
    whole, part = branches()
    expected, everything = cost_of_model(part, None), cost_of_model(whole, None)
    assert everything.macs > 20 * expected.macs
    costs = [cost_of_file(files[kind], None, Selection(output=name)) for name in outputs_of(kind, files[kind])]
    assert expected.macs in [cost.macs for cost in costs]
    cost = min(costs, key=lambda one: one.macs)
    assert cost.macs == expected.macs
    assert cost.params == expected.params
    assert cost.weight_bytes == expected.weight_bytes
    assert cost_of_file(files[kind], None).macs == everything.macs


def test_an_output_that_is_not_there_is_named(files: dict[str, Path]) -> None:
    for kind in ("onnx", "tflite"):
        with pytest.raises(ModelError, match="has no output 'scores'; it has "):
            cost_of_file(files[kind], None, Selection(output="scores"))


def test_constants_take_the_place_of_other_inputs(tmp_path: Path) -> None:
    helper, proto = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["row"]),
            helper.make_node("MatMul", ["row", "weight"], ["product"]),
            helper.make_node("Mul", ["product", "temperature"], ["logits"]),
        ],
        "scaled",
        [
            helper.make_tensor_value_info("image", proto.FLOAT, ["batch", 3, 8, 2]),
            helper.make_tensor_value_info("temperature", proto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("logits", proto.FLOAT, ["batch", 5])],
        [onnx.numpy_helper.from_array(np.ones((48, 5), np.float32), "weight")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelError, match="must have one input, a batch of images"):
        cost_of_file(path, None)
    cost = cost_of_file(path, None, Selection("image", None, {"temperature": 2.0}))
    assert (cost.macs, cost.params) == (48 * 5, 48 * 5)
    with pytest.raises(ModelError, match="has no input 'temperatur'"):
        cost_of_file(path, None, Selection("image", None, {"temperatur": 2.0}))
