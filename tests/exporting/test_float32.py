"""Models of other dtype policies are exported in float32, with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import Recorder
from keras import Input, Model, Sequential, layers

import kdcompress
from kdcompress.errors import ModelError
from kdcompress.exporting._float32 import find_policy, rebuild_in_float32
from kdcompress.exporting._network import freeze
from kdcompress.models import Forward, load_saved_model, model_digest

POLICIES = ["mixed_float16", "mixed_bfloat16", "float64", "float16", "bfloat16"]
SHAPE = (12, 12, 3)
EXHAUSTIVE = pytest.mark.exhaustive


@keras.saving.register_keras_serializable("tests")
class Gate(layers.Layer):  # type: ignore[misc]
    """A layer with a layer of its own, as attention blocks are."""

    def build(self, shape: Any) -> None:
        self.inner = layers.Dense(shape[-1], activation="sigmoid", dtype=self.dtype_policy)
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return x * self.inner(x)


@keras.saving.register_keras_serializable("tests")
class Small(Model):  # type: ignore[misc]
    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.scale, self.conv = layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu")
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(3)

    def build(self, shape: Any) -> None:
        self.conv.build(shape)
        self.head.build((None, 8))

    def call(self, x: Any) -> Any:
        return self.head(self.pool(self.conv(self.scale(x))))


def functional() -> Any:
    image = Input(SHAPE)
    hidden = layers.Conv2D(8, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(image))
    hidden = layers.BatchNormalization()(hidden)
    return Model(image, layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(hidden)))


def nested() -> Any:
    block = Sequential([Input((10, 10, 8)), layers.DepthwiseConv2D(3), layers.ReLU(), Gate()], name="block")
    image = Input(SHAPE)
    hidden = block(layers.Conv2D(8, 3)(layers.Rescaling(1 / 127.5, -1)(image)))
    return Model(image, layers.Dense(3, dtype="float32")(layers.Flatten()(hidden)))


def with_operations() -> Any:
    image = Input(SHAPE)
    hidden = layers.Conv2D(8, 3)(image / 255.0)
    return Model(image, layers.Dense(3)(keras.ops.mean(keras.ops.relu(hidden) * 2.0, axis=(1, 2))))


def random_layers() -> Any:
    steps = [Input(SHAPE), layers.RandomFlip(), layers.Rescaling(1 / 255), layers.Conv2D(8, 3), layers.Dropout(0.5)]
    return Sequential([*steps, layers.Flatten(), layers.Dense(3)])


BUILDERS = {item.__name__: item for item in (functional, nested, with_operations, random_layers, Small)}


@pytest.fixture(autouse=True)
def usual_policy() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


def make(builder: str, policy: str) -> Any:
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(1)
    model = BUILDERS[builder]()
    model(np.zeros((1, *SHAPE), "float32"))
    keras.config.set_dtype_policy("float32")
    return model


def images(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), np.uint8)


@pytest.mark.parametrize(
    ("builder", "policy"),
    [
        pytest.param(builder, policy, marks=() if policy == "mixed_float16" or builder == "nested" else EXHAUSTIVE)
        for builder in BUILDERS
        for policy in POLICIES
    ],
)
def test_the_frozen_network_is_the_model_as_built_in_float32(builder: str, policy: str) -> None:
    model, expected = make(builder, policy), make(builder, "float32")
    for weight, source in zip(expected.weights, model.weights, strict=True):
        weight.assign(np.asarray(source).astype(weight.dtype))
    digest, weights = model_digest(model), [np.asarray(weight) for weight in model.weights]
    network = freeze(model, SHAPE)
    assert network.policy == policy
    assert network.digest == digest == model_digest(model)
    outputs = network.function(images().astype(np.float32))["logits"].numpy()
    assert outputs == pytest.approx(Forward(expected)(images()), abs=1e-5)
    assert find_policy(network.model) == "float32"
    assert all(np.array_equal(old, weight) for old, weight in zip(weights, model.weights, strict=True))
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_model_in_float32_is_left_alone(builder: str) -> None:
    model = make(builder, "float32")
    network = freeze(model, SHAPE)
    assert network.model is model
    assert network.policy == find_policy(model) == "float32"


@pytest.mark.parametrize(
    "policy",
    [pytest.param(policy, marks=() if policy in ("mixed_float16", "bfloat16") else EXHAUSTIVE) for policy in POLICIES],
)
def test_every_format_computes_the_same(tmp_path: Path, recorder: Recorder, policy: str) -> None:
    make("functional", policy).save(tmp_path / "m.keras")
    result = kdcompress.export(tmp_path / "m.keras", "all", progress=recorder)
    assert result["passed"]
    assert {entry["format"] for entry in result["artefacts"]} == {"onnx", "saved-model", "tflite"}
    (said,) = [note for note in recorder.notes if "computes in" in note]
    assert f"m.keras computes in {policy}: exported from the same weights in float32, and compared with that" in said
    assert recorder.warnings == []


def test_bfloat16_in_an_h5_file_is_told_from_other_bytes(tmp_path: Path) -> None:
    make("functional", "bfloat16").save(tmp_path / "m.h5")
    with pytest.raises(ModelError, match=r"holds bytes without a type, as \.h5 files do of bfloat16; save it as"):
        load_saved_model(tmp_path / "m.h5")


def test_a_global_policy_of_the_caller_stays() -> None:
    model = make("nested", "mixed_float16")
    keras.config.set_dtype_policy("mixed_bfloat16")
    assert find_policy(rebuild_in_float32(model, SHAPE, "it")) == "float32"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_a_model_that_cannot_be_rebuilt_says_what_to_do() -> None:
    class Odd(Model):  # type: ignore[misc]
        def __init__(self, width: Any) -> None:
            super().__init__(dtype="mixed_float16")
            self.head = width

        def call(self, x: Any) -> Any:
            return self.head(keras.ops.mean(x, axis=(1, 2)))

    model = Odd(layers.Dense(3))
    model(np.zeros((1, *SHAPE), "float32"))
    with pytest.raises(
        ModelError, match=r"^it computes in mixed_float16 and cannot be rebuilt in float32 \(.*\); build it"
    ):
        freeze(model, SHAPE, "it")


def test_the_student_of_a_run_is_compared_with_its_weights_in_float32(tmp_path: Path, recorder: Recorder) -> None:
    from tiny_runs import distill

    keras.config.set_dtype_policy("mixed_float16")
    image = Input((28, 28, 1))
    hidden = layers.Conv2D(4, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(image))
    Model(image, layers.Dense(10)(layers.Flatten()(hidden))).save(tmp_path / "student.keras")
    keras.config.set_dtype_policy("float32")
    settings = {"student.model": str(tmp_path / "student.keras"), "baseline": False}
    run = distill(tmp_path / "run", epochs=1, settings=settings)
    result = kdcompress.export(run, ["onnx", "tflite"], ["fp32", "fp16", "int8"], parity_samples=200, progress=recorder)
    assert result["passed"]
    assert len(result["artefacts"]) == 6
    (said,) = [note for note in recorder.notes if "computes in" in note]
    assert said.startswith("the student computes in mixed_float16: exported from the same weights in float32")
    assert said.endswith(" of 200 images")
