"""The smaller model computes what the larger one does without the removed channels, and is plain Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import channel_models
import keras
import numpy as np
import pytest
from channel_models import BODIES, SHAPE, classifier, random_choice, randomise, with_dead_channels

from kdcompress.compression.channels.coupling import find_coupling
from kdcompress.compression.channels.masking import TOLERANCE, check_equality, mask
from kdcompress.compression.channels.rebuilding import rebuild
from kdcompress.errors import ModelError
from kdcompress.registry import load

# Sigmoids make 0.5 of a dead channel; there only "nobody reads it" is what the smaller model computes
KEEP_ZEROS = (
    "chain", "residual", "inverted_residual", "squeeze_by_dense", "sum_of_a_concatenation", "flattened", "shared",
)  # fmt: skip


def images(shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(1).integers(0, 256, (4, *shape), np.uint8)


def run(model: Any, pixels: Any) -> Any:
    return np.asarray(model(pixels, training=False))


def relative(first: Any, second: Any, shape: tuple[int, ...] = SHAPE) -> float:
    a, b = (run(model, images(shape)) for model in (first, second))
    return float(np.abs(a - b).max() / np.abs(b).max())


def check(model: Any, shape: tuple[int, ...] = SHAPE, dead: bool = False) -> Any:
    before = run(model, images(shape))
    coupling = find_coupling(model)
    kept = random_choice(coupling)
    smaller = rebuild(model, coupling, kept)
    assert smaller.count_params() < model.count_params()
    assert check_equality(model, smaller, coupling, kept, images(shape)) <= TOLERANCE
    if dead:
        assert relative(smaller, with_dead_channels(model, coupling, kept), shape) <= TOLERANCE
    assert relative(smaller, model, shape) > 10 * TOLERANCE  # something was removed
    np.testing.assert_array_equal(run(model, images(shape)), before)  # the larger one is untouched
    return smaller


@pytest.mark.parametrize("name", BODIES)
def test_the_smaller_model_is_the_larger_one_without_channels(name: str, tmp_path: Path) -> None:
    model = classifier(BODIES[name])
    smaller = check(model, dead=name in KEEP_ZEROS)
    names = [[layer.name for layer in each._flatten_layers()] for each in (smaller, model)]
    assert names[0] == names[1]
    smaller.save(tmp_path / "small.keras")
    opened = keras.saving.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(opened(images()), smaller(images()))


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "ds_cnn", "tiny_cnn"])
def test_zoo(name: str) -> None:
    keras.utils.set_random_seed(0)
    smaller = check(randomise(load("models", name)().build((28, 28, 1), 10)), (28, 28, 1), dead=True)
    assert isinstance(smaller, keras.Sequential) == (name in ("mnist_mlp", "mnist_cnn"))


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", ["MobileNetV2", "MobileNetV3Small", "ResNet50", "EfficientNetB0", "DenseNet121", "NASNetMobile", "Xception"]
)
def test_networks_of_keras(name: str) -> None:
    size = 71 if name == "Xception" else 64
    keras.utils.set_random_seed(0)
    image = keras.Input((size, size, 3))
    base = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    # A nested model, as transfer learning has it
    model = randomise(keras.Model(image, keras.layers.Dense(5)(base(keras.layers.Rescaling(1 / 255)(image)))))
    check(model, (size, size, 3))


def test_statistics_of_normalization_are_copied() -> None:
    normalization = keras.layers.Normalization()
    normalization.adapt(np.random.default_rng(0).uniform(0, 1, (64, *SHAPE)))
    check(classifier(lambda x: channel_models.chain(normalization(x))))


def test_frozen_layers_stay_frozen() -> None:
    model = classifier(channel_models.chain)
    model.get_layer("a").trainable = False
    assert not check(model).get_layer("a").trainable


def test_dropout_goes_on_as_it_would_have() -> None:
    model = classifier(channel_models.chain)
    coupling = find_coupling(model)
    twins = [rebuild(model, coupling, random_choice(coupling)) for _ in range(2)]
    outputs = [np.asarray(twin(images(), training=True)) for twin in twins]
    np.testing.assert_array_equal(*outputs)


def test_a_wrong_cut_is_refused() -> None:
    model = classifier(channel_models.chain)
    coupling = find_coupling(model)
    kept, other = random_choice(coupling, 0), random_choice(coupling, 1)
    wrong = rebuild(model, coupling, other)
    with pytest.raises(ModelError, match=r"within 1e-05 of the largest output, and differs by"):
        check_equality(model, wrong, coupling, kept, images())


def test_nothing_removed_is_the_same_model() -> None:
    model = classifier(channel_models.inverted_residual)
    coupling = find_coupling(model)
    for twin in (rebuild(model, coupling, coupling.all_kept()), mask(model, coupling, coupling.all_kept())):
        np.testing.assert_array_equal(run(twin, images()), run(model, images()))


def test_layers_of_lambdas_stay() -> None:
    own = keras.layers.Lambda(lambda x: x[:, ::2] / 2.0)
    check(classifier(lambda x: channel_models.chain(own(channel_models.conv(x, 16, "first")))))


def test_mixed_precision_is_compared_in_float32() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier(channel_models.chain)
    finally:
        keras.config.set_dtype_policy(before)
    assert check(model).get_layer("a").compute_dtype == "bfloat16"
