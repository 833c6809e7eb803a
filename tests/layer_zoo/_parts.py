"""Parts that all models of the zoo share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

HEIGHT, WIDTH, CHANNELS = 16, 20, 3
SUBJECT = "subject"  # name of the layer that a model is about, which a refusal has to name
CLASSES = 3

Body = Callable[[Any], Any]  # from pixels of 0 to 1, or features, to features of any rank
Builder = Callable[[], Any]


def model(body: Body, scale: bool = True) -> Any:
    """Build a model around a body; its head tells positions apart.

    Args:
        body: Layers between the scaling and the head.
        scale: Whether the pixels are scaled to 0 to 1 ahead of the body.

    Returns:
        Keras model of `CLASSES` logits.
    """
    keras.utils.set_random_seed(1)
    image = keras.Input((HEIGHT, WIDTH, CHANNELS))
    hidden = body(layers.Rescaling(1 / 255)(image) if scale else image)
    return keras.Model(image, layers.Dense(CLASSES, name="logits")(layers.Flatten()(hidden)))


def features(x: Any, channels: int = 4) -> Any:
    """Convolve, so that what follows gets numbers of both signs."""
    return layers.Conv2D(channels, 3, padding="same", bias_initializer="random_normal", name="features")(x)


def on_features(layer: Callable[[], Any]) -> Body:
    """Return the body of one layer behind a convolution."""
    return lambda x: layer()(features(x))


def sequence(x: Any, width: int = 8) -> Any:
    """Cut an image into 20 patches, (n, 20, width)."""
    return layers.Reshape((20, width))(layers.Conv2D(width, 4, strides=4, name="patches")(x))


def function(apply: Callable[[Any], Any]) -> Body:
    """Return the body that applies a function to features of both signs."""
    return lambda x: layers.Lambda(apply, name=SUBJECT)(features(x))


def builders(bodies: dict[str, Body]) -> dict[str, Builder]:
    """Return the builder of the model around each body."""
    return {name: lambda body=body: model(body) for name, body in bodies.items()}
