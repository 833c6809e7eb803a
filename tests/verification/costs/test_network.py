"""Counts against hand calculations, and against the two MHIST networks of the paper."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from kdcompress.errors import ModelError
from kdcompress.verification.costs import Cost, _analytic, cost_of_file, cost_of_model

IMAGE = (8, 8, 4)


def sequential(*parts: Any) -> Any:
    return keras.Sequential([keras.Input(IMAGE), *parts])


def counted(*parts: Any) -> Cost:
    cost = cost_of_model(sequential(*parts), None)
    assert sum(layer.flops or 0 for layer in cost.layers) == cost.flops
    assert sum(layer.macs for layer in cost.layers) == cost.macs
    assert sum(layer.params for layer in cost.layers) == cost.params
    return cost


# (layers, MACs, FLOPs), all on 8 x 8 x 4
BY_HAND: dict[str, tuple[Callable[[], list[Any]], int, int]] = {
    "valid": (lambda: [layers.Conv2D(6, 3, use_bias=False)], 36 * 6 * 36, 2 * 7776),
    "bias": (lambda: [layers.Conv2D(6, 3)], 36 * 6 * 36, 2 * 7776 + 36 * 6),
    "stride and padding": (lambda: [layers.Conv2D(6, 3, 2, padding="same")], 16 * 6 * 36, 2 * 3456 + 16 * 6),
    "groups": (lambda: [layers.Conv2D(6, 3, groups=2, use_bias=False)], 36 * 6 * 18, 2 * 3888),
    "depthwise": (lambda: [layers.DepthwiseConv2D(3, use_bias=False)], 36 * 4 * 9, 2 * 1296),
    "separable": (lambda: [layers.SeparableConv2D(5, 3, use_bias=False)], 36 * (4 * 9 + 4 * 5), 2 * 2016),
    "transposed": (lambda: [layers.Conv2DTranspose(3, 3, 2, use_bias=False)], 64 * 4 * 3 * 9, 2 * 6912),
    "transposed in 3-D": (
        lambda: [layers.Reshape((4, 4, 4, 4)), layers.Conv3DTranspose(3, 3, 2, use_bias=False)],
        64 * 4 * 3 * 27,
        2 * 20736,
    ),
    "1-D": (lambda: [layers.Reshape((64, 4)), layers.Conv1D(3, 5, use_bias=False)], 60 * 3 * 20, 2 * 3600),
    "3-D": (lambda: [layers.Reshape((4, 4, 4, 4)), layers.Conv3D(3, 3, use_bias=False)], 8 * 3 * 108, 2 * 2592),
    "dense": (lambda: [layers.Flatten(), layers.Dense(5)], 256 * 5, 2 * 1280 + 5),
    "dense on channels": (lambda: [layers.Dense(5, use_bias=False)], 64 * 4 * 5, 2 * 1280),
    "einsum": (
        lambda: [layers.EinsumDense("abcd,de->abce", output_shape=(None, None, 5))],
        64 * 4 * 5,
        2 * 1280,
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_a_layer_costs_what_the_hand_counts(case: str) -> None:
    make, macs, flops = BY_HAND[case]
    cost = counted(*make())
    assert (cost.macs, cost.flops, cost.warnings) == (macs, flops, ())


@pytest.mark.parametrize(("cell", "gates"), [(layers.SimpleRNN, 1), (layers.GRU, 3), (layers.LSTM, 4)])
def test_every_step_of_a_recurrent_layer_counts(cell: Any, gates: int) -> None:
    cost = counted(layers.Reshape((8, 32)), cell(5))
    assert cost.macs == 8 * gates * 5 * (32 + 5)
    assert cost.flops is not None
    assert 2 * cost.macs < cost.flops < 2.2 * cost.macs
    assert cost.warnings == ()


def test_counting_leaves_a_recurrent_layer_as_it_was() -> None:
    lstm = layers.LSTM(5)
    counted(layers.Reshape((8, 32)), lstm)
    assert lstm.unroll is False


class Attention(layers.Layer):
    def __init__(self) -> None:
        super().__init__(name="attending")
        self.tokens = layers.Reshape((64, 4))
        self.heads = layers.MultiHeadAttention(2, 3, name="heads")

    def call(self, image: Any) -> Any:
        tokens = self.tokens(image)
        return self.heads(query=tokens, value=tokens)


def test_attention_counts_its_projections_scores_and_sum() -> None:
    cost = counted(Attention())
    scores = 64 * 64 * 2 * 3
    assert cost.macs == 4 * 64 * 4 * 6 + 2 * scores
    rows = {layer.name: layer.macs for layer in cost.layers}
    assert rows["attending/heads"] == 2 * scores
    assert rows["attending/heads/query"] == 64 * 4 * 6
    assert cost.warnings == ()


def residual(body: Any) -> Any:
    image = keras.Input(IMAGE)
    return keras.Model(image, layers.Add(name="sum")([body(image), image]))


def test_a_residual_sum_costs_one_operation_per_number() -> None:
    cost = cost_of_model(residual(layers.Conv2D(4, 1, use_bias=False)), None)
    assert (cost.macs, cost.flops) == (64 * 4 * 4, 2 * 1024 + 256)
    assert [(layer.name, layer.flops) for layer in cost.layers][-1] == ("sum", 256)


def test_a_shared_layer_works_twice_and_is_stored_once() -> None:
    shared = layers.Conv2D(4, 1, use_bias=False, name="shared")
    cost = counted(shared, layers.ReLU(), shared)
    assert (cost.params, cost.macs, cost.flops) == (16, 2 * 1024, 4 * 1024)
    assert [(layer.name, layer.params, layer.macs) for layer in cost.layers] == [("shared", 16, 2048)]


def test_frozen_layers_are_no_trainable_params() -> None:
    frozen = layers.Conv2D(6, 1, trainable=False)
    cost = counted(frozen, layers.BatchNormalization(), layers.Flatten(), layers.Dense(2))
    assert (cost.trainable, cost.non_trainable) == (12 + 64 * 6 * 2 + 2, 30 + 12)
    assert cost.weight_bytes == 4 * cost.params


SCALING = 2 * 8 * 8 * 4  # one product and one sum for each number


def functional(part: Any, arithmetic: bool) -> Any:
    image = keras.Input(IMAGE)
    scaled = (image / 127.5) - 1.0 if arithmetic else layers.Rescaling(1 / 127.5, -1)(image)
    return keras.Model(image, part(scaled))


@pytest.mark.parametrize("place", ["first", "functional", "inside a backbone", "inside twice", "arithmetic"])
def test_preprocessing_counts_apart_wherever_it_stands(place: str) -> None:
    scale, conv = layers.Rescaling(1 / 127.5, -1), layers.Conv2D(6, 1, use_bias=False)
    model = {
        "first": lambda: sequential(scale, conv),
        "functional": lambda: functional(conv, arithmetic=False),
        "inside a backbone": lambda: sequential(sequential(scale, conv)),
        "inside twice": lambda: sequential(functional(sequential(conv), arithmetic=False)),
        "arithmetic": lambda: functional(conv, arithmetic=True),
    }[place]()
    cost = cost_of_model(model, None)
    assert (cost.preprocessing_flops, cost.flops, cost.macs) == (SCALING, 2 * 1536, 1536)


def test_scaling_by_a_lambda_layer_is_preprocessing_and_other_functions_are_not() -> None:
    scaling = counted(layers.Lambda(lambda x: (x - 127.5) / 127.5), layers.Conv2D(3, 1))
    assert (scaling.preprocessing_flops, scaling.flops) == (2 * 256, counted(layers.Conv2D(3, 1)).flops)
    assert counted(layers.Lambda(lambda x: x * x.shape[1] - keras.ops.mean(x))).preprocessing_flops == 0


def test_scaling_inside_the_network_is_no_preprocessing() -> None:
    cost = counted(layers.Conv2D(4, 1, use_bias=False), layers.Rescaling(0.5))
    assert (cost.preprocessing_flops, cost.flops) == (0, 2 * 1024 + SCALING)


def mhist(family: Any, nested: bool) -> Any:
    image = keras.Input((224, 224, 3))
    scaled = layers.Rescaling(1 / 127.5, -1)(image)
    if nested:
        features = family(include_top=False, weights=None, input_shape=(224, 224, 3))(scaled)
    else:
        features = family(include_top=False, weights=None, input_tensor=scaled).output
    return keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(features)))


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("name", "params", "flops"),
    [("ResNet50V2", 23_568_898, 6_988_381_826), ("MobileNetV2", 2_260_546, 612_731_330)],
)
def test_the_paper_s_mhist_networks(name: str, params: int, flops: int, nested: bool) -> None:
    cost = cost_of_model(mhist(getattr(keras.applications, name), nested), None)
    assert (cost.params, cost.flops, cost.preprocessing_flops) == (params, flops, 2 * 224 * 224 * 3)
    assert sum(layer.flops or 0 for layer in cost.layers) == flops
    assert cost.warnings == ()


class HiddenMatmul(layers.Layer):
    """Multiplies (64, 4) by (4, 64) without a layer that says so."""

    def call(self, image: Any) -> Any:
        rows = keras.ops.reshape(image, (-1, 64, 4))
        return keras.ops.matmul(rows, keras.ops.transpose(rows, (0, 2, 1)))


def test_a_hidden_product_counts_and_is_named() -> None:
    cost = counted(layers.Conv2D(4, 1, use_bias=False), HiddenMatmul(name="secret"))
    assert cost.macs == 1024 + 64 * 64 * 4
    (warning,) = cost.warnings
    assert "0 from layers' shapes, 16,384 from the graph" in warning
    assert warning.endswith("in secret")


@pytest.mark.parametrize(("error", "warned"), [(1.04, False), (0.96, False), (1.06, True), (0.94, True)])
def test_counts_of_macs_may_differ_by_five_per_cent(
    error: float, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_analytic._FORMULAS, "Dense", lambda *_: round(1280 * error))
    cost = counted(layers.Flatten(), layers.Dense(5, name="wrong"))
    assert cost.macs == max(1280, round(1280 * error))
    assert [f"{round(1280 * error):,}" in w and "1,280" in w and "wrong" in w for w in cost.warnings] == [True] * warned


class Loop(layers.Layer):
    def call(self, image: Any) -> Any:
        return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, tf.matmul(x, x)), (0, image[..., 0]))[1]


@pytest.mark.parametrize(
    ("layer", "missing"),
    [
        (lambda: layers.Lambda(lambda x: tf.math.real(tf.signal.fft(tf.cast(x, tf.complex64))), name="odd"), "FFT"),
        (lambda: layers.UpSampling2D(interpolation="bilinear", name="odd"), "ResizeBilinear"),
        (lambda: Loop(name="odd"), "StatelessWhile"),
    ],
)
def test_work_without_a_statistic_is_named(layer: Callable[[], Any], missing: str) -> None:
    cost = counted(layer())
    assert any(w.startswith(f"not counted: {missing}") and w.endswith("in odd") for w in cost.warnings)


@pytest.mark.parametrize("layer", [lambda: layers.RandomHue(0.2), lambda: layers.MixUp()])
def test_what_only_seeds_need_is_no_part_of_inference(layer: Callable[[], Any]) -> None:
    cost, plain = counted(layer()), counted(layers.Dropout(0.2))
    assert (cost.macs, cost.flops, cost.params) == (plain.macs, plain.flops, plain.params)
    assert cost.warnings == ()


def backbone() -> Any:
    image = keras.Input((None, None, 3))
    return keras.Model(image, layers.Conv2D(4, 1, use_bias=False)(image), name="open")


def test_an_open_size_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"model open takes images of \?x\?x3, .*: pass --input-shape H,W,C"):
        cost_of_model(backbone(), None)
    assert cost_of_model(backbone(), (10, 20, 3)).macs == 200 * 12


def test_a_size_that_contradicts_the_model_is_refused() -> None:
    with pytest.raises(ModelError, match=r"which takes images of \?x\?x3, got 10x20x1"):
        cost_of_model(backbone(), (10, 20, 1))


class Unbuilt(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(5, name="head")

    def call(self, image: Any) -> Any:
        return self.head(keras.ops.reshape(image, (-1, 256)) / 255.0)


@pytest.mark.parametrize("make", [Unbuilt, lambda: keras.Sequential([layers.Flatten(), layers.Dense(5, name="head")])])
def test_an_unbuilt_model_needs_a_size(make: Callable[[], Any]) -> None:
    with pytest.raises(ModelError, match="--input-shape"):
        cost_of_model(make(), None)
    cost = cost_of_model(make(), IMAGE)
    assert (cost.params, cost.macs) == (1285, 1280)


def test_what_a_subclassed_model_does_itself_is_a_row_of_its_own() -> None:
    cost = cost_of_model(Unbuilt(), IMAGE)
    assert [(layer.name, layer.flops) for layer in cost.layers] == [("head", 2565), ("(other)", 256)]
    assert (cost.flops, cost.preprocessing_flops) == (2565 + 256, 0)


def test_no_images_no_figure() -> None:
    flat = keras.Sequential([keras.Input((256,)), layers.Dense(5)])
    with pytest.raises(ModelError, match="inputs of shape 256; it must take images"):
        cost_of_model(flat, None)
    both = [keras.Input(IMAGE), keras.Input(IMAGE)]
    with pytest.raises(ModelError, match="has 2 inputs"):
        cost_of_model(keras.Model(both, layers.Add()(both)), None)


def test_a_file_costs_what_its_model_costs(tmp_path: Path) -> None:
    model = sequential(layers.Rescaling(1 / 255), layers.Conv2D(6, 3), layers.Flatten(), layers.Dense(5))
    model.save(tmp_path / "m.keras")
    assert cost_of_file(tmp_path / "m.keras", None) == cost_of_model(model, None)


def test_as_json_every_layer_has_its_share() -> None:
    cost = counted(layers.Conv2D(6, 3), layers.Flatten(), layers.Dense(5))
    written = json.loads(json.dumps(cost.to_dict()))
    assert {name: written[name] for name in ("params", "macs", "flops", "input_shape")} == {
        "params": 222 + 1085,
        "macs": 7776 + 1080,
        "flops": 15552 + 216 + 2160 + 5,
        "input_shape": [8, 8, 4],
    }
    assert [row["share"] for row in written["layers"]] == [pytest.approx(15768 / 17933), pytest.approx(2165 / 17933)]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist"):
        cost_of_file(tmp_path / "none.keras", None)
    (tmp_path / "m.pt").write_bytes(b"torch")
    for path in (tmp_path / "m.pt", tmp_path):
        with pytest.raises(ModelError, match=r"\.keras, \.onnx, \.pt2, \.tflite or a SavedModel folder, got"):
            cost_of_file(path, None)
