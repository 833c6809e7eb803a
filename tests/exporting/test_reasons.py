"""A refused or failed file names the layer or operator, the reason, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import Input, Model, Sequential, layers, ops

from kdcompress import api
from kdcompress.errors import ExportError, ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.models import Forward

SHAPE = (16, 20, 3)
METADATA = {"kdcompress": "1", "classes": list("abc")}


def functional(body: Callable[[Any], Any]) -> Any:
    keras.utils.set_random_seed(0)
    image = Input(SHAPE)
    return Model(image, layers.Dense(3)(body(layers.Rescaling(1 / 255)(image))))


def reasons(model: Any, name: str, folder: Path) -> list[str]:
    result = api.export(model, [name], out=folder, input_shape=SHAPE)
    return list(result["artefacts"][0]["reasons"])


def test_an_operation_outside_of_layers_is_named_by_its_node(tmp_path: Path) -> None:
    model = functional(lambda x: layers.Flatten()(ops.erfinv(x * 0.5)))
    for name in ("onnx", "tflite"):
        with pytest.raises(ExportError, match=r"operator Erfinv \(\S+Erfinv\); replace it, or export another --format"):
            api.export(model, [name], out=tmp_path / name)


def test_the_operator_of_another_data_type_is_the_one_named(tmp_path: Path) -> None:
    """TFLite expresses Sub, but not in float64, in which quantiles are computed."""
    median = layers.Lambda(lambda x: ops.median(x, axis=(1, 2)), output_shape=(3,), name="median")
    model = functional(lambda x: median(layers.Lambda(lambda y: y - 0.5, name="fine")(x)))
    with pytest.raises(ExportError, match=r"operator Sub of float64 of layer median; replace it"):
        api.export(model, ["tflite"], out=tmp_path)


def test_a_model_that_fails_at_inference_is_one_line_with_keras_s_reason(tmp_path: Path) -> None:
    model = Sequential([Input(SHAPE), layers.RandomCrop(9, 11), layers.Flatten(), layers.Dense(3, name="head")])
    with pytest.raises(ModelError, match=r"fails on an image of 16x20x3: \w+: .*layer 'head'") as caught:
        api.export(model, out=tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_logits_that_are_rounding_errors_are_called_that(name: str, tmp_path: Path) -> None:
    """The mean of a channel that was normalized to a mean of 0."""

    def body(x: Any) -> Any:
        return layers.GlobalAveragePooling2D()(layers.GroupNormalization(-1)(layers.Conv2D(8, 3)(x)))

    model = functional(body)
    assert np.abs(Forward(model)(np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8))).max() < 1e-5
    assert "they are little else than rounding errors" in reasons(model, name, tmp_path)[-1]


def test_logits_that_depend_on_the_batch_are_called_that(tmp_path: Path) -> None:
    mixing = layers.Lambda(lambda x: x - ops.max(x, axis=0, keepdims=True), name="mixing")
    model = functional(lambda x: layers.Flatten()(mixing(x)))
    assert "if an image is alone in its batch" in reasons(model, "saved-model", tmp_path)[-1]


def test_a_sound_model_is_not_run_again() -> None:
    from kdcompress.exporting._stability import describe_instability

    model = functional(lambda x: layers.Flatten()(layers.Conv2D(4, 3)(x)))
    images = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), np.uint8)
    forward = Forward(model)
    logits = forward(images)
    assert describe_instability(forward, images, logits, 1e-4 * float(np.abs(logits).max())) is None


@pytest.mark.parametrize("layer", ["UpSampling2D", "Resizing"])
def test_an_interpolation_that_onnx_computes_otherwise_is_named(layer: str, tmp_path: Path) -> None:
    arguments = {"UpSampling2D": ((2, 3),), "Resizing": (11, 13)}[layer]
    resizing = getattr(layers, layer)(*arguments, interpolation="bicubic", name="resizing")
    model = functional(lambda x: layers.Flatten()(resizing(layers.Conv2D(4, 3, padding="same")(x))))
    assert "operator ResizeBicubic of layer resizing with other weights" in reasons(model, "onnx", tmp_path)[-1]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(11, 13), (9, 7), (16, 13), (27, 43), (7, 20)])
def test_sizes_stay_when_the_batch_of_a_file_is_fixed(
    size: tuple[int, int], interpolation: str, tmp_path: Path
) -> None:
    """20 * (13 / 20) is less than 13 in float32: a file of scales was valid for an open batch only."""
    model = functional(lambda x: layers.Flatten()(layers.Resizing(*size, interpolation=interpolation)(x)))
    path, images = tmp_path / "m.onnx", np.random.default_rng(0).integers(0, 256, (1, *SHAPE), np.uint8)
    make_format("onnx").write(freeze(model, SHAPE), path, "fp32", Options(), None, METADATA)
    fixed = onnx.load(path)
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(fixed, path)
    onnx.checker.check_model(fixed, full_check=True)
    np.testing.assert_allclose(make_format("onnx").open(path).run(images), Forward(model)(images), atol=1e-5)


def test_attention_over_two_axes_is_converted_without_all_orders_of_its_indices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tf2onnx.optimizer import einsum_optimizer

    tried: list[str] = []
    decompose = einsum_optimizer.decompose_einsum_equation
    monkeypatch.setattr(
        einsum_optimizer, "decompose_einsum_equation", lambda equation: tried.append(equation) or decompose(equation)
    )

    def body(x: Any) -> Any:
        x = layers.AveragePooling2D(4)(layers.Conv2D(4, 3, padding="same")(x))
        return layers.Flatten()(layers.MultiHeadAttention(2, 4, attention_axes=(1, 2))(x, x))

    assert reasons(functional(body), "onnx", tmp_path) == []
    assert len(tried) < 6 * 150
