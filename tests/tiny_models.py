"""Small models for tests, given as `tiny_models:name`."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


def teacher() -> Any:
    """A small CNN with BatchNorm and dropout: both have state beside weights."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def student() -> Any:
    """A small MLP with dropout and BatchNorm; its layers have the same names whatever was built before."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255, name="rescaling"),
            layers.Flatten(name="flatten"),
            layers.Dense(16, activation="relu", name="dense"),
            layers.BatchNormalization(name="batch_normalization"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(10, name="dense_1"),
        ]
    )


def normalized() -> Any:
    """BatchNorm behind a layer without a bias, and nothing random inside."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(16, use_bias=False, name="hidden"),
            layers.BatchNormalization(momentum=0.9, name="norm"),
            layers.ReLU(),
            layers.Dense(10, name="logits"),
        ]
    )


def plain() -> Any:
    """Nothing random inside."""
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)], name="plain"
    )


def plain_mlp() -> Any:
    """Nothing random inside, and a hidden layer."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dense(10, name="logits"),
        ]
    )


def softmax() -> Any:
    """Ends in probabilities."""
    return keras.Sequential([*plain().layers, layers.Softmax()])


def nan() -> Any:
    """All weights NaN."""
    model = plain()
    model.set_weights([w * float("nan") for w in model.get_weights()])
    return model


def five_classes() -> Any:
    """Another number of classes."""
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(5)])


def colour() -> Any:
    """Another input."""
    return keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10)])


class Subclassed(keras.Model):
    """A model in the subclassing style, whose class plain Keras does not know."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flatten, self.dense = layers.Flatten(), layers.Dense(10)

    def call(self, image: Any) -> Any:
        return self.dense(self.flatten(image / 255.0))


def subclassed() -> Any:
    """A subclassed student."""
    return Subclassed()


def only_onnx() -> Any:
    """Convertible to ONNX, not to TFLite without Flex operators."""
    image = keras.Input((8, 8, 1))
    hidden = layers.Dense(4)(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(3)(layers.Lambda(keras.ops.arctan)(hidden)))


def raises() -> Any:
    """Raises."""
    raise RuntimeError("out of cheese")


def quits() -> Any:
    """Leaves the process, as a script without a guard does."""
    raise SystemExit(0)


def without_input() -> Any:
    """Sizes are known only when the first image comes."""
    return keras.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(10)])


def no_model() -> Any:
    """Returns something else."""
    return 42


not_callable = 3


class SubclassedHead(keras.Model):
    """As Subclassed, with 20 outputs."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.flatten, self.dense = layers.Flatten(), layers.Dense(20)

    def call(self, image: Any) -> Any:
        return self.dense(self.flatten(image / 255.0))


def subclassed_head() -> Any:
    """A student for two subclasses a digit."""
    return SubclassedHead()


def pair() -> Any:
    """Two classes of grey images of 28x28."""
    return keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)], name="pair"
    )
