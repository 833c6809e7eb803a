"""Models of unusual structure, inputs and dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops, saving

from layer_zoo._parts import CHANNELS, CLASSES, HEIGHT, SUBJECT, WIDTH, Builder, features, model

SHAPE = (HEIGHT, WIDTH, CHANNELS)


def _classify(x: Any) -> Any:
    return layers.Dense(CLASSES, name="logits")(layers.Flatten()(x))


@saving.register_keras_serializable("layer_zoo")
class ScaledResidual(layers.Layer):  # type: ignore[misc]
    """A block of its own layers and a weight, as ConvNeXt's layer scale and stochastic depth."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.conv = layers.DepthwiseConv2D(3, padding="same")
        self.normalize = layers.LayerNormalization()
        self.seeds = keras.random.SeedGenerator(0)

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma", initializer="random_normal")
        self.conv.build(shape)
        self.normalize.build(shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        branch = self.gamma * self.normalize(self.conv(inputs))
        if training:
            branch = branch * keras.random.bernoulli((ops.shape(inputs)[0], 1, 1, 1), 0.8, seed=self.seeds)
        return inputs + branch


class Subclassed(keras.Model):  # type: ignore[misc]
    """Keeps its layers as attributes, and reshapes by the batch's size."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.conv = layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu")
        self.head = layers.Dense(CLASSES)

    def call(self, inputs: Any, training: bool = False) -> Any:
        hidden = self.conv(self.scale(inputs))
        return self.head(ops.max(ops.reshape(hidden, (ops.shape(hidden)[0], -1, 4)), axis=1))


def _seeded(build: Builder) -> Builder:
    def seeded() -> Any:
        keras.utils.set_random_seed(1)
        return build()

    return seeded


def _subclassed() -> Any:
    made = Subclassed()
    made.build((None, *SHAPE))
    return made


def _nested() -> Any:
    encoder = keras.Sequential(
        [keras.Input((8, WIDTH, CHANNELS)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()], name="encoder"
    )
    image = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(image)
    return keras.Model(image, layers.Dense(CLASSES)(layers.Concatenate()([encoder(x[:, :8]), encoder(x[:, 8:])])))


def _sequential(*parts: Any, shape: Any = SHAPE) -> Any:
    return keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *parts])


def _mlp() -> Any:
    return _sequential(layers.Flatten(), layers.Dense(8, activation="relu", name=SUBJECT), layers.Dense(CLASSES))


def _lora() -> Any:
    made = _mlp()
    made.get_layer(SUBJECT).enable_lora(2)
    return made


def _quantized() -> Any:
    made = _mlp()
    made.quantize("int8")
    return made


def _declared(wrap: Callable[[Any], Any], **settings: Any) -> Builder:
    def build() -> Any:
        image = keras.Input(name="pixels", **({"shape": SHAPE} | settings))
        return keras.Model(wrap(image), _classify(features(layers.Rescaling(1 / 255)(image))))

    return build


def _any_size() -> Any:
    image = keras.Input((None, None, CHANNELS))
    pooled = layers.GlobalAveragePooling2D()(features(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(CLASSES)(pooled))


def _under(policy: str) -> Builder:
    def build() -> Any:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return _sequential(
                layers.Conv2D(4, 3, activation="relu"),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dense(CLASSES),
            )
        finally:
            keras.config.set_dtype_policy(before)

    return build


BUILDERS: dict[str, Builder] = {
    "softmax at the end": lambda: _sequential(layers.Flatten(), layers.Dense(CLASSES, activation="softmax")),
    "input in a dictionary": _declared(lambda image: {"pixels": image}),
    "input in a list": _declared(lambda image: [image]),
    "uint8 input": _declared(lambda image: image, dtype="uint8"),
    "declared batch": _declared(lambda image: image, batch_shape=(4, *SHAPE), shape=None),
    "one output in a list": lambda: keras.Model(*_listed()),
    "any size": _any_size,
    "shared nested model": _nested,
    "subclassed model": _subclassed,
    "residual of a custom layer": lambda: model(lambda x: ScaledResidual(name=SUBJECT)(features(x))),
    "outputs that depend on the batch": lambda: model(
        lambda x: layers.Lambda(lambda y: y - ops.max(y, axis=0, keepdims=True), name=SUBJECT)(x)
    ),
    "logits that are rounding errors": lambda: model(
        lambda x: layers.GlobalAveragePooling2D()(layers.GroupNormalization(-1, name=SUBJECT)(features(x)))
    ),
    "output of another shape than inferred": lambda: model(lambda x: layers.RandomCrop(9, 11, name=SUBJECT)(x)),
    "LoRA": _lora,
    "quantized to int8": _quantized,
    **{policy: _under(policy) for policy in ("mixed_float16", "mixed_bfloat16", "float16", "float64")},
}


def _listed() -> tuple[Any, list[Any]]:
    image = keras.Input(SHAPE)
    return image, [_classify(features(layers.Rescaling(1 / 255)(image)))]


MODELS = {name: _seeded(build) for name, build in BUILDERS.items()}
