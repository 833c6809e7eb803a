"""Training with rounding: ranges move, zeros and clusters remain, and the integers are those of the trained network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kdcompress.quantization import KERNEL_LIMIT, Rounded, apply_rounding, finish_rounding, fold, start_rounding
from kdcompress.quantization._layers import DECAY

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (64, 6, 6, 1)).astype(np.float32)
LABELS = RNG.integers(0, 3, 64)


@pytest.fixture
def model() -> Any:
    """Dense layers, the first with zeros and few values."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    x = layers.Flatten()(layers.Rescaling(1 / 256)(image))
    x = layers.Dense(16, activation="relu", name="first")(x)
    made = keras.Model(image, layers.Dense(3, name="logits")(x))
    kernel, bias = made.get_layer("first").get_weights()
    made.get_layer("first").set_weights([np.round(kernel * 6) / 6, bias])
    return made


def train(rounded: Rounded, epochs: int = 3) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rounded.model.compile(keras.optimizers.Adam(0.01), loss, jit_compile=False)
    rounded.model.fit(IMAGES, LABELS, batch_size=16, epochs=epochs, verbose=0, shuffle=False)


def test_a_trained_network_is_rebuilt_from_the_plain_model_and_the_description(model: Any) -> None:
    rounded = start_rounding(fold(model), IMAGES)
    before = float(rounded.activations["first"].high)
    train(rounded)
    assert float(rounded.activations["first"].high) != before
    plain, quantization = finish_rounding(rounded)
    rebuilt = apply_rounding(plain, quantization)
    trained, again = (np.asarray(network(IMAGES, training=False)) for network in (rounded.model, rebuilt))
    step = quantization.activations["logits"].scale
    assert np.abs(trained - again).max() <= 2 * step and not np.allclose(trained, np.asarray(model(IMAGES)), atol=step)
    first = np.asarray(plain.get_layer("first").kernel) / quantization.kernels["first"][0]
    assert np.allclose(first, np.rint(first), atol=1e-4) and np.abs(first).max() == pytest.approx(KERNEL_LIMIT, abs=1)


def test_pooling_leaves_the_range_that_it_shares() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 256)(image))
    x = layers.Flatten()(layers.AveragePooling2D(4, name="pool")(x))
    rounded = start_rounding(fold(keras.Model(image, layers.Dense(3, name="logits")(x))), IMAGES)
    assert rounded.placement.places["pool"].same_as == "conv"
    before = float(rounded.activations["conv"].high)
    rounded.model(IMAGES[:16], training=True)
    conv = float(keras.ops.max(keras.Model(rounded.source.input, rounded.source.get_layer("conv").output)(IMAGES[:16])))
    assert float(rounded.activations["conv"].high) == pytest.approx(DECAY * before + (1 - DECAY) * conv, rel=1e-3)


@pytest.mark.parametrize("kept", [True, False])
def test_zeros_remain(model: Any, kept: bool) -> None:
    zeros = np.asarray(model.get_layer("first").kernel) == 0
    rounded = start_rounding(fold(model), IMAGES, keep_zeros=kept)
    train(rounded)
    plain, _ = finish_rounding(rounded)
    after = np.asarray(plain.get_layer("first").kernel)[zeros]
    assert (after == 0).all() == kept


@pytest.mark.parametrize("kept", [True, False])
def test_clusters_remain(model: Any, kept: bool) -> None:
    values = np.unique(np.asarray(model.get_layer("first").kernel), return_inverse=True)
    rounded = start_rounding(fold(model), IMAGES, clusters=len(values[0]) if kept else 0)
    train(rounded)
    plain, _ = finish_rounding(rounded)
    kernel = np.asarray(plain.get_layer("first").kernel).reshape(-1)
    members = values[1].reshape(-1)
    assert all(len(np.unique(kernel[members == group])) == 1 for group in range(len(values[0]))) == kept
    assert not np.array_equal(kernel.reshape(36, 16), np.asarray(model.get_layer("first").kernel)), "they were trained"


def test_the_same_training_gives_the_same_integers(model: Any) -> None:
    results = []
    for _ in range(2):
        rounded = start_rounding(fold(model), IMAGES)
        train(rounded, 1)
        results.append(finish_rounding(rounded))
    assert results[0][1] == results[1][1]
    assert all(map(np.array_equal, results[0][0].get_weights(), results[1][0].get_weights()))
