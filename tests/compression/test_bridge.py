"""Layers of tf_keras in the place of layers of Keras 3: the same outputs, losses and training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from keras import activations, layers
from layer_zoo import SHAPE, ZOO
from layer_zoo.activations import NAMES
from own_tuning import OwnTuning

from kdcompress.compression.legacy.fitting import fit_hybrid
from kdcompress.compression.legacy.hybrid import Hybrid, walk
from kdcompress.compression.legacy.twins import copy_back, has_twin, make_twin
from kdcompress.config.compress import CompressSection
from kdcompress.data import Samples
from kdcompress.errors import ModelError
from kdcompress.models import Forward, seed_everything
from kdcompress.progress import Progress
from kdcompress.training.checkpoints import get_values
from kdcompress.training.fitting import train_phase

FRESH = """
import os, sys
import kdcompress
assert not {"tensorflow", "keras", "tf_keras", "tensorflow_model_optimization"} & set(sys.modules)
before = dict(os.environ)
from kdcompress.compression.legacy.importing import import_tf_keras, import_tfmot
tfmot, tf_keras = import_tfmot(), import_tf_keras()
import keras, tensorflow as tf
assert dict(os.environ) == before, "the environment changed"
assert tf.keras.__version__ == keras.__version__ and keras.__version__.startswith("3.")
assert tf.keras.layers.Dense is keras.layers.Dense is not tf_keras.layers.Dense
assert issubclass(tfmot.sparsity.keras.UpdatePruningStep, tf_keras.callbacks.Callback)
assert "TF_USE_LEGACY_KERAS" not in os.environ
"""


def test_imports_leave_keras_and_the_environment_as_they_are() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr


LAYERS: dict[str, Callable[..., Any]] = {
    "Dense": lambda **k: layers.Dense(5, **k),
    "Dense without bias": lambda **k: layers.Dense(5, use_bias=False, **k),
    "Conv2D": lambda **k: layers.Conv2D(4, 3, **k),
    "Conv2D of all settings": lambda **k: layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", groups=2, **k),
    "Conv2D with dilation": lambda **k: layers.Conv2D(4, 3, dilation_rate=2, use_bias=False, **k),
    "DepthwiseConv2D": lambda **k: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", **k),
    "DepthwiseConv2D with stride": lambda **k: layers.DepthwiseConv2D(3, strides=2, use_bias=False, **k),
}
IMAGES = np.random.default_rng(0).normal(0, 1, (3, 9, 8, 4)).astype(np.float32)


def relative(one: Any, other: Any) -> float:
    expected = np.asarray(one)
    return float(np.abs(expected - np.asarray(other)).max() / max(np.abs(expected).max(), 1e-30))


def filled(layer: Any, inputs: Any = IMAGES) -> Any:
    layer(inputs)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_a_twin_computes_the_same(name: str) -> None:
    layer = filled(LAYERS[name](activation="gelu"))
    before = layer.get_weights()
    twin = make_twin(layer)
    assert relative(layer(IMAGES), twin(IMAGES)) <= 1e-6
    copy_back([2 * weight for weight in twin.weights], layer)
    assert all(np.array_equal(2 * a, b) for a, b in zip(before, layer.get_weights(), strict=True))


@pytest.mark.parametrize(
    "name", [name for name in NAMES.split() if hasattr(activations, name) and name not in ("glu", "threshold")]
)
def test_a_twin_has_the_activation_of_keras_3(name: str) -> None:
    """hard_sigmoid of tf_keras is another function, and others it does not know."""
    layer = filled(layers.Dense(6, activation=name))
    assert relative(layer(IMAGES), make_twin(layer)(IMAGES)) <= 1e-6


def test_a_twin_has_regularizers_and_constraints_of_keras_3() -> None:
    from keras import constraints, regularizers

    layer = filled(
        layers.Conv2D(
            4,
            3,
            kernel_regularizer=regularizers.L1L2(0.01, 0.02),
            bias_regularizer=regularizers.L2(0.3),
            activity_regularizer=regularizers.L1(0.1),
            kernel_constraint=constraints.MaxNorm(0.7),
        )
    )
    image = keras.Input(IMAGES.shape[1:])
    model = keras.Model(image, layers.Dense(2, kernel_regularizer="l2")(layer(image)))
    model(IMAGES)
    twin = make_twin(layer)
    hybrid = Hybrid(model, {id(layer): twin})
    hybrid(IMAGES, training=True)
    assert sum(map(float, hybrid.losses)) == pytest.approx(sum(map(float, model.losses)), rel=1e-6)
    assert relative(layer.kernel_constraint(layer.kernel), twin.kernel_constraint(twin.kernel)) <= 1e-6


def in_place(model: Any) -> Hybrid:
    """A model in which twins stand for all layers that have one."""
    return Hybrid(model, {id(layer): make_twin(layer) for layer, _ in walk(model) if has_twin(layer)})


WITHOUT_A_GRAPH = "subclassed model"
REFUSED = {
    "mixed_float16": "got mixed_float16; build the model with the dtype policy float32",
    "mixed_bfloat16": "got mixed_bfloat16",
    "float16": "got float16",
    "float64": "got float64",
    "quantized to int8": "plain float32 weights to be compressed, got int8",
    "LoRA": "got LoRA",
    WITHOUT_A_GRAPH: r"must be functional or Sequential.*Subclassed; build it from its layers",
}
EVERY_EIGHTH = set(list(ZOO)[::8])
USED = [
    name if name in EVERY_EIGHTH else pytest.param(name, marks=pytest.mark.exhaustive)
    for name in ZOO
    if name not in REFUSED and name not in ("declared batch", "output of another shape than inferred")
]


@pytest.mark.parametrize("name", USED)
def test_a_network_computes_the_same_with_twins(name: str) -> None:
    model = ZOO[name]()
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    noise = relative(expected, Forward(model)(images))
    outputs = np.asarray(in_place(model)(images))
    assert relative(expected, outputs) <= max(1e-6, 2 * noise)
    assert (expected.argmax(-1) == outputs.argmax(-1)).all()


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_twin_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=REFUSED[name]):
        in_place(ZOO[name]())


def test_a_layer_of_ones_own_has_no_twin() -> None:
    class Mine(layers.Dense):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None) -> Any:
            return 2 * super().call(inputs)

    layer = filled(Mine(3, name="mine"))
    assert not has_twin(layer)
    with pytest.raises(ModelError, match=r"layer mine must be one of Conv2D, Dense, DepthwiseConv2D.*got Mine"):
        make_twin(layer)


@pytest.mark.parametrize("build", [tiny_models.teacher, tiny_models.student])
def test_training_with_twins_gives_the_weights_of_keras_fit(build: Any, small: Samples, tmp_path: Path) -> None:
    """Same batches, losses, dropout, BatchNorm, optimizer, best epoch and history."""

    def trained(name: str, train: Callable[[Any, OwnTuning], Any]) -> tuple[list[Any], Any]:
        seed_everything(0)
        model = build()
        tuning = OwnTuning(small, tmp_path, CompressSection(prune=0.5), epochs=3)
        state = train(model, tuning.phase(name, model, None), tuning)  # type: ignore[call-arg]
        return get_values(model.weights), state

    def by_keras(model: Any, phase: Any, tuning: OwnTuning) -> Any:
        return train_phase(phase, model, tuning.feed, tuning.val, Progress(), lambda rows: None)

    def by_hand(model: Any, phase: Any, tuning: OwnTuning) -> Any:
        twins = {id(layer): make_twin(layer) for layer, _ in walk(model) if has_twin(layer)}
        state = fit_hybrid(phase, Hybrid(model, twins), tuning.feed, tuning.val, Progress(), lambda rows: None)
        for layer, _ in walk(model):
            if id(layer) in twins:
                copy_back(twins[id(layer)].weights, layer)
        return state

    (expected, fit), (weights, state) = trained("keras", by_keras), trained("hand", by_hand)
    assert max(map(relative, expected, weights)) <= 1e-5
    for one, other in zip(fit.rows, state.rows, strict=True):
        assert one.keys() == other.keys()
        assert all(other[key] == pytest.approx(one[key], rel=1e-4) for key in one if key != "seconds")
