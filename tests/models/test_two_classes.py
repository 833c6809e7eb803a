"""A model of two classes with one output, a sigmoid or its logit z, is the pair of logits (0, z)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from kdcompress.errors import ModelError
from kdcompress.models import load_saved_model, prepare_classifier, prepare_model

SHAPE = (8, 8, 3)


def body() -> tuple[Any, Any]:
    keras.utils.set_random_seed(4)
    image = keras.Input(SHAPE)
    return image, layers.Flatten()(layers.Conv2D(4, 3, name="conv")(layers.Rescaling(1 / 255)(image)))


def dense_sigmoid() -> Any:
    image, hidden = body()
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(hidden))


def sequential() -> Any:
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    )


def layer_behind() -> Any:
    image, hidden = body()
    return keras.Model(image, layers.Activation("sigmoid", dtype="float32")(layers.Dense(1)(hidden)))


def operation_behind() -> Any:
    image, hidden = body()
    return keras.Model(image, ops.sigmoid(layers.Dense(1)(hidden)))


def nested() -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, dense_sigmoid()(image))


def convolution() -> Any:
    image, _ = body()
    hidden = layers.GlobalAveragePooling2D(keepdims=True)(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Flatten()(layers.Conv2D(1, 1)(hidden)))


def logit() -> Any:
    image, hidden = body()
    return keras.Model(image, layers.Dense(1, bias_initializer="ones")(hidden))


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(1)

    def call(self, image: Any) -> Any:
        return self.head(ops.reshape(image, (-1, 192)))


SIGMOIDS = (dense_sigmoid, sequential, layer_behind, operation_behind, nested)
LOGITS = (convolution, logit, Subclassed)


def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (6, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("build", (*SIGMOIDS, *LOGITS))
def test_the_pair_of_logits(build: Callable[[], Any], tmp_path: Path) -> None:
    model, notes = build(), list[str]()
    both = prepare_model(model, SHAPE, 2, "student x", note=notes.append)
    single, pair = np.asarray(model(images()))[:, 0], np.asarray(both(images()))
    assert pair.shape == (6, 2)
    assert np.array_equal(pair[:, 0], np.zeros(6))
    expected = np.log(single) - np.log1p(-single) if build in SIGMOIDS else single
    assert pair[:, 1] == pytest.approx(expected, abs=2e-5, rel=1e-4)
    without = "without its sigmoid, " if build in SIGMOIDS else ""
    taken = f"{without}it is taken as the logit z of the second, in the pair (0, z)"
    assert notes == [f"student x has one output for two classes: {taken}"]
    assert both.count_params() == model.count_params()
    if build is not Subclassed:
        both.save(tmp_path / "m.keras")
        assert np.asarray(load_saved_model(tmp_path / "m.keras")(images())) == pytest.approx(pair, abs=1e-6)


def test_logits_of_a_saturated_sigmoid_are_exact() -> None:
    image = keras.Input(SHAPE)
    hidden = layers.Flatten()(image)
    model = keras.Model(image, layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(hidden))
    assert np.asarray(model(images())).min() == 1
    z = np.asarray(prepare_classifier(model, SHAPE, "x")(images()))[:, 1]
    assert z == pytest.approx(images().sum(axis=(1, 2, 3)), rel=1e-5)


def test_the_model_itself_stays_as_it_is() -> None:
    model = dense_sigmoid()
    before = np.asarray(model(images()))
    prepare_classifier(model, SHAPE, "x")
    assert model.layers[-1].activation is keras.activations.sigmoid
    assert np.array_equal(np.asarray(model(images())), before)


def test_a_sigmoid_that_cannot_be_left_out_is_refused() -> None:
    class Sigmoid(Subclassed):
        def call(self, image: Any) -> Any:
            return ops.sigmoid(super().call(image) / 1000)

    with pytest.raises(ModelError, match=r"^student x ends in one number of 0 to 1 for two classes.*remove the sigm"):
        prepare_model(Sigmoid(), SHAPE, 2, "student x")


def test_of_other_numbers_of_classes_one_output_is_refused() -> None:
    with pytest.raises(ModelError, match="student x has 1 classes, the data has 3 classes"):
        prepare_model(logit(), SHAPE, 3, "student x")


def test_models_of_several_outputs_stay() -> None:
    image, hidden = body()
    model = keras.Model(image, layers.Dense(3)(hidden))
    assert prepare_classifier(model, SHAPE, "x") is model
