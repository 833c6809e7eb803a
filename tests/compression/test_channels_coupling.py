"""Which channels go together, which stay, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import channel_models
import keras
import numpy as np
import pytest
from channel_models import BODIES, classifier, conv, pooled
from keras import layers, ops

from kdcompress.compression.channels.coupling import find_coupling
from kdcompress.errors import ModelError

GROUPS = {
    "chain": {"a": 16, "b": 24, "c": 32},
    "residual": {"a+c": 16, "b": 24},
    "inverted_residual": {"stem+project": 16, "expand+excite": 32, "squeeze": 8},
    "squeeze_by_dense": {"a+excite": 16, "squeeze": 8, "b": 16},
    "dense_block": {"a": 16, "b": 16, "c": 16, "transition": 16},
    "sum_of_a_concatenation": {"a+c": 16, "b+c": 24, "d": 16},
    "flattened": {"a": 16, "b": 24},
    "reshaped": {"a": 16, "b": 24},
    "multiplied": {"a": 16, "b": 24, "c": 16},
    "functions": {"a+b": 16, "c": 16},
    "shared": {"a+b+twice": 16},
    "nested": {"encoder/a+encoder/block/a": 16, "encoder/b": 16, "a": 16},
}


@pytest.mark.parametrize("name", BODIES)
def test_groups(name: str) -> None:
    coupling = find_coupling(classifier(BODIES[name]))
    assert {"+".join(sorted(group.layers)): len(group.classes) for group in coupling.groups} == {
        "+".join(sorted(key.split("+"))): size for key, size in GROUPS[name].items()
    }
    assert [whole.layers for whole in coupling.whole] == [("logits",)]
    assert coupling.whole[0].is_output


def test_positions_behind_flatten_belong_to_their_channel() -> None:
    model = classifier(channel_models.flattened)
    coupling = find_coupling(model)
    dense = coupling.layers[id(model.get_layer("b"))]
    (group,) = (group for group in coupling.groups if group.layers == ("a",))
    places = 4 * 4
    np.testing.assert_array_equal(coupling.classes[dense.axes["kernel"][0]], np.tile(group.classes, places))


@keras.saving.register_keras_serializable("tests")
class Shift(layers.Layer):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return ops.roll(inputs, 1, axis=-1)


class OwnConv(layers.Conv2D):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return ops.flip(super().call(inputs), axis=-1)


def own_activation(x: Any) -> Any:
    return x - ops.max(x, axis=-1, keepdims=True)


WHOLE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "layer normalization": (
        lambda x: pooled(layers.LayerNormalization(name="norm")(conv(x, 16, "a"))),
        "a, norm: LayerNormalization norm combines channels",
    ),
    "grouped convolution": (
        lambda x: pooled(conv(conv(x, 16, "a"), 16, "b", groups=4)),
        "a, b: Conv2D b convolves in 4 groups",
    ),
    "layer of other code": (
        lambda x: pooled(Shift(name="shift")(conv(x, 16, "a"))),
        "a: Shift shift is not known here",
    ),
    "subclass of a known layer": (
        lambda x: pooled(OwnConv(16, 3, name="own")(conv(x, 16, "a"))),
        "a, own: OwnConv own is not known here",
    ),
    "softmax inside": (
        lambda x: pooled(conv(x, 16, "a", activation="softmax")),
        "a: Conv2D a has the activation softmax, which combines channels",
    ),
    "activation of other code": (
        lambda x: pooled(conv(x, 16, "a", activation=own_activation)),
        "a: Conv2D a has the activation own_activation of other code",
    ),
    "spatial attention": (
        lambda x: pooled(conv(x, 16, "a") * conv(x, 1, "gate", activation="sigmoid")),
        "gate: Multiply multiply multiplies all channels by one",
    ),
    "split channels": (
        lambda x: pooled(layers.Reshape((16, 16, 2, 8), name="split")(conv(x, 16, "a"))[:, :, :, 0]),
        "a: Reshape split splits the axis of channels",
    ),
    "half of the channels": (
        lambda x: pooled(conv(x, 16, "a")[..., :8]),
        "a: GetItem get_item is not known here",
    ),
    "sum with pixels": (lambda x: pooled(layers.Add()([x, conv(x, 3, "a")])), "a: is the model's input"),
    "constants": (
        lambda x: pooled(conv(x, 16, "a") * np.arange(16.0, dtype=np.float32)),
        "a: Multiply multiply has a constant for each channel",
    ),
    "batch normalization of another axis": (
        lambda x: pooled(layers.BatchNormalization(axis=1, name="bn")(conv(x, 16, "a"))),
        "a, bn: BatchNormalization bn normalizes axis 1",
    ),
    "attention": (
        lambda x: pooled(layers.MultiHeadAttention(2, 8, name="mha")(*[conv(x, 16, "a", strides=8)] * 2)),
        "a, mha: MultiHeadAttention mha combines channels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_understood_stays_whole_and_is_named(name: str) -> None:
    body, expected = WHOLE[name]
    keras.backend.clear_session()
    coupling = find_coupling(classifier(lambda x: body(conv(x, 8, "first")) if name != "sum with pixels" else body(x)))
    reasons = "; ".join(f"{', '.join(w.layers)}: {w.reason}" for w in coupling.whole if not w.is_output)
    assert reasons == expected
    if name != "sum with pixels":
        assert any(group.layers == ("first",) for group in coupling.groups)


def test_outputs_and_inputs_stay() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Softmax()(layers.Dense(4, name="dense")(layers.Flatten()(image))))
    coupling = find_coupling(model)
    assert coupling.groups == ()
    assert [(whole.layers, whole.reason) for whole in coupling.whole] == [
        (("dense",), f"Softmax {model.layers[-1].name} combines channels")
    ]


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name="mine")
        self.dense = layers.Dense(4)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


class OwnCall(keras.Model):  # type: ignore[misc]
    """Built from a graph, and called in another way."""

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        return -super().call(inputs)


@pytest.mark.parametrize("kind", ["subclassed", "own call", "no input shape"])
def test_models_without_a_graph_are_refused(kind: str) -> None:
    image = keras.Input((8,))
    model = {
        "subclassed": Subclassed,
        "own call": lambda: OwnCall(image, layers.Dense(4)(image), name="mine"),
        "no input shape": lambda: keras.Sequential([layers.Dense(4)], name="mine"),
    }[kind]()
    with pytest.raises(ModelError, match=r"and mine is a \w+ whose layers have no known order; build it from"):
        find_coupling(model)
