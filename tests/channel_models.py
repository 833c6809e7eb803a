"""Small models whose channels are coupled in many ways, and the larger model with dead channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kdcompress.compression.channels.coupling import Coupling, find_coupling
from kdcompress.compression.channels.rebuilding import Kept

SHAPE = (16, 16, 3)


def classifier(body: Callable[[Any], Any], shape: tuple[int | None, ...] = SHAPE) -> Any:
    """A model of pixels to 5 logits around a body, with random BatchNorm statistics and biases."""
    keras.utils.set_random_seed(0)
    image = keras.Input(shape, name="image")
    made = keras.Model(image, layers.Dense(5, name="logits")(body(layers.Rescaling(1 / 255)(image))), name="net")
    return randomise(made)


def randomise(model: Any) -> Any:
    """Give all vectors random values: statistics, scales and biases are no longer 0 or 1."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name == "moving_variance":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name in ("bias", "beta", "gamma", "moving_mean", "alpha"):
            weight.assign(rng.uniform(-0.5, 0.5, weight.shape))
    return model


def conv(x: Any, filters: int, name: str | None = None, **settings: Any) -> Any:
    settings = {"padding": "same", "activation": "relu", **settings}
    return layers.Conv2D(filters, settings.pop("size", 3), name=name, **settings)(x)


def pooled(x: Any) -> Any:
    return layers.GlobalAveragePooling2D()(x)


def chain(x: Any) -> Any:
    x = layers.BatchNormalization(name="bn")(conv(x, 16, "a", activation=None, use_bias=False))
    x = layers.MaxPooling2D()(layers.ReLU(6.0)(x))
    x = layers.Dropout(0.2)(layers.ZeroPadding2D(1)(conv(x, 24, "b", activation="silu")))
    return layers.Dense(32, activation="relu", name="c")(pooled(x))


def residual(x: Any) -> Any:
    x = conv(x, 16, "a")
    y = layers.BatchNormalization()(conv(conv(x, 24, "b"), 16, "c"))
    return pooled(layers.Add()([x, y]))


def inverted_residual(x: Any) -> Any:
    x = conv(x, 16, "stem")
    y = layers.BatchNormalization()(conv(x, 32, "expand", size=1, activation=None))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(layers.ReLU(6.0)(y))
    y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = conv(conv(gate, 8, "squeeze", size=1), 32, "excite", size=1, activation="hard_sigmoid")
    y = conv(layers.Multiply()([y, gate]), 16, "project", size=1, activation=None)
    return pooled(x + layers.BatchNormalization()(y))


def squeeze_by_dense(x: Any) -> Any:
    x = conv(x, 16, "a")
    gate = layers.Dense(8, activation="relu", name="squeeze")(pooled(x))
    gate = layers.Reshape((1, 1, 16), name="reshape")(layers.Dense(16, activation="sigmoid", name="excite")(gate))
    return pooled(conv(layers.Multiply()([x, gate]), 16, "b"))


def dense_block(x: Any) -> Any:
    x = conv(x, 16, "a")
    for name in ("b", "c"):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Concatenate()([x, conv(y, 16, name)])
    return pooled(conv(layers.BatchNormalization()(x), 16, "transition", size=1))


def sum_of_a_concatenation(x: Any) -> Any:
    both = layers.Concatenate()([conv(x, 16, "a"), conv(x, 24, "b")])
    return pooled(conv(layers.Add()([both, conv(x, 40, "c")]), 16, "d"))


def flattened(x: Any) -> Any:
    x = layers.Flatten()(layers.PReLU(shared_axes=[1, 2])(conv(x, 16, "a", strides=4, activation=None)))
    return layers.PReLU()(layers.Dense(24, name="b")(x))


def reshaped(x: Any) -> Any:
    x = layers.Reshape((16, 16), name="tokens")(conv(x, 16, "a", strides=4))
    x = layers.Permute((1, 2))(layers.Dense(24, activation="gelu", name="b")(x))
    return layers.Flatten()(layers.GlobalAveragePooling1D()(x))


def multiplied(x: Any) -> Any:
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="twice")(conv(x, 16, "a"))
    x = layers.SeparableConv2D(24, 3, depth_multiplier=2, activation="relu", name="b")(x)
    return pooled(layers.Conv2DTranspose(16, 3, strides=2, activation="elu", name="c")(x))


def functions(x: Any) -> Any:
    x = ops.relu(conv(x, 16, "a", activation=None))
    y = conv(x, 16, "b", activation=None) * 0.5
    x = keras.activations.relu(x - y) * (ops.relu6(y + 3.0) * (1 / 6))
    x = ops.mean(conv(x, 16, "c"), axis=(1, 2), keepdims=True)
    return ops.reshape(ops.sigmoid(x), (-1, 16))


def shared(x: Any) -> Any:
    twice = layers.Conv2D(16, 3, padding="same", activation="relu", name="twice")
    a, b = conv(x, 16, "a"), conv(x, 16, "b")
    return pooled(layers.Concatenate()([twice(a), twice(twice(b))]))


def nested(x: Any) -> Any:
    image = keras.Input((16, 16, 3))
    block = keras.Sequential([keras.Input((16, 16, 16)), layers.Conv2D(16, 3, padding="same", name="a")], name="block")
    y = block(conv(image, 16, "a"))
    encoder = keras.Model(image, layers.Flatten()(conv(block(y), 16, "b", strides=4)), name="encoder")
    return layers.Dense(16, activation="relu", name="a")(encoder(x))


BODIES: dict[str, Callable[[Any], Any]] = {
    body.__name__: body
    for body in (
        chain, residual, inverted_residual, squeeze_by_dense, dense_block, sum_of_a_concatenation, flattened, reshaped,
        multiplied, functions, shared, nested,
    )
}  # fmt: skip


def random_choice(coupling: Coupling, seed: int = 0, share: float = 0.4) -> Kept:
    """Remove some channels of every group."""
    rng, kept = np.random.default_rng(seed), coupling.all_kept()
    for group in coupling.groups:
        kept[rng.permutation(group.classes)[: int(share * len(group.classes))]] = False
    return kept


def with_dead_channels(model: Any, coupling: Coupling, kept: Kept) -> Any:
    """The larger model that makes zeros in place of the removed channels: kernel and bias are 0, gamma and beta too.

    Equal to the smaller model where activations keep zeros and nothing is added to them.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    stays = kept[coupling.classes]
    for layer in find_coupling(copy).layers.values():
        made = {"bias", "gamma", "beta", *([layer.makes[0]] if layer.makes else [])}
        for name in made & set(layer.axes):
            axis = layer.makes[1] if layer.makes and name == layer.makes[0] else 0
            values = np.moveaxis(np.array(getattr(layer.operation, name)), axis, 0)
            values[~stays[layer.axes[name][axis]]] = 0
            getattr(layer.operation, name).assign(np.moveaxis(values, 0, axis))
    return copy
