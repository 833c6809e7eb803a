"""Folding gives an equal plain model: BatchNorm, separable convolutions, activations, preprocessing."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from int8_models import randomize
from keras import layers

from kdcompress.errors import ModelError
from kdcompress.quantization import align_pixels, fold

SHAPE = (12, 10, 3)


def images(count: int = 8, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(np.float32)


def difference(one: Any, other: Any, shape: tuple[int, ...] = SHAPE) -> float:
    """Largest difference of the outputs, relative to the largest."""
    first, second = (np.asarray(model(images(shape=shape), training=False)) for model in (one, other))
    return float(np.abs(first - second).max() / np.abs(first).max())


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


BEFORE_BATCHNORM: dict[str, Any] = {
    "conv": lambda x: layers.Conv2D(5, 3, strides=2, padding="same")(x),
    "conv without bias": lambda x: layers.Conv2D(5, 3, use_bias=False)(x),
    "grouped conv": lambda x: layers.Conv2D(6, 3, groups=3)(x),
    "depthwise": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(x),
    "separable": lambda x: layers.SeparableConv2D(7, 3, depth_multiplier=2)(x),
    "transposed": lambda x: layers.Conv2DTranspose(4, 3, strides=2)(x),
    "dense": lambda x: layers.Dense(6)(x),
}


@pytest.mark.parametrize("name", BEFORE_BATCHNORM)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=["", "no scale", "no center"])
def test_batchnorm_goes_into_the_layer_before_it(name: str, options: dict[str, bool]) -> None:
    image = keras.Input(SHAPE)
    x = layers.ReLU()(layers.BatchNormalization(**options)(BEFORE_BATCHNORM[name](image)))
    model = randomize(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))))
    folded = fold(model)
    assert difference(model, folded) < 1e-5
    assert "BatchNormalization" not in kinds(folded) and "SeparableConv2D" not in kinds(folded)
    before = [np.asarray(weight) for weight in model.weights]
    assert all(map(np.array_equal, before, model.get_weights())), "the model itself stays as it is"


def _padded(x: Any) -> Any:
    return layers.ZeroPadding2D(1)(layers.Conv2D(5, 3)(x))


def _branched(x: Any) -> Any:
    x = layers.Conv2D(5, 3)(x)
    return layers.Concatenate()([layers.BatchNormalization(name="first")(x), x])


@pytest.mark.parametrize(
    "block",
    [_padded, _branched, lambda x: layers.Conv2D(5, 3, activation="relu")(x), lambda x: x + x],
    ids=["padding between", "another reader", "activation between", "after an addition"],
)
def test_batchnorm_elsewhere_becomes_a_depthwise_convolution(block: Any) -> None:
    image = keras.Input(SHAPE)
    x = layers.BatchNormalization(name="norm")(block(image))
    model = randomize(keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    folded = fold(model)
    assert difference(model, folded) < 1e-5
    assert isinstance(folded.get_layer("norm"), layers.DepthwiseConv2D)


def test_nested_models_and_shared_layers() -> None:
    inner_image = keras.Input((10, 8, 4))
    inner = keras.Model(inner_image, layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 1)(inner_image))))
    shared = layers.Conv2D(4, 1, activation="swish", name="shared")
    image = keras.Input(SHAPE)
    x = layers.BatchNormalization()(inner(layers.Conv2D(4, 3)(image)))
    x = shared(shared(x))
    model = randomize(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))))
    folded = fold(model)
    assert difference(model, folded) < 1e-5
    assert kinds(folded).count("Activation") == 1
    assert folded.get_layer("shared").activation.__name__ == "linear"
    sequential = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(2)])
    assert difference(sequential, fold(sequential)) == 0


def test_what_cannot_be_folded_is_refused() -> None:
    class Own(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(ModelError, match=r"takes a functional or Sequential model, and own is subclassed \(Own\)"):
        fold(Own(name="own"))
    image = keras.Input(SHAPE)
    with pytest.raises(ModelError, match="one input and one output, and two has 1 and 2"):
        fold(keras.Model(image, [layers.Flatten()(image), layers.Flatten()(image)], name="two"))


@pytest.mark.parametrize(
    "scaling",
    [
        layers.Rescaling(1 / 255),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Rescaling([1 / 50, 1 / 60, 1 / 70], offset=[-2.1, -2.0, -1.9]),
        layers.Normalization(mean=[100.0, 120.0, 130.0], variance=[50.0**2, 60.0**2, 70.0**2]),
    ],
    ids=["to 1", "signed", "standardized", "normalization"],
)
@pytest.mark.parametrize("kind", ["conv", "depthwise", "dense"])
def test_aligned_pixels_change_nothing(scaling: Any, kind: str) -> None:
    first = {
        "conv": [layers.Conv2D(4, 3)],
        "depthwise": [layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)],
        "dense": [layers.Flatten(), layers.Dense(4)],
    }[kind]
    model = randomize(keras.Sequential([keras.Input(SHAPE), scaling, *first, layers.Flatten(), layers.Dense(3)]))
    aligned = align_pixels(fold(model))
    assert difference(model, aligned) < 1e-5
    (rescaling,) = (layer for layer in aligned.layers if isinstance(layer, layers.Rescaling))
    assert np.log2(rescaling.scale).is_integer() and (rescaling.offset / rescaling.scale).is_integer()
