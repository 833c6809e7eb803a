"""Normalization layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from layer_zoo._parts import CHANNELS, HEIGHT, SUBJECT, WIDTH, Body, Builder, builders, features, model, on_features


def _adapted(axis: Any) -> Builder:
    def build() -> Any:
        layer = layers.Normalization(axis=axis, name=SUBJECT)
        layer.adapt(np.random.default_rng(0).integers(0, 256, (20, HEIGHT, WIDTH, CHANNELS)).astype("float32"))
        return model(lambda x: features(layer(x)), scale=False)

    return build


def _statistics(**settings: Any) -> Builder:
    return lambda: model(lambda x: features(layers.Normalization(**settings, name=SUBJECT)(x)), scale=False)


BODIES: dict[str, Body] = {
    "BatchNormalization": on_features(
        lambda: layers.BatchNormalization(beta_initializer="random_normal", name=SUBJECT)
    ),
    "BatchNormalization of another axis": on_features(lambda: layers.BatchNormalization(axis=2, name=SUBJECT)),
    "BatchNormalization without scale and center": on_features(
        lambda: layers.BatchNormalization(
            scale=False, center=False, moving_mean_initializer="random_normal", name=SUBJECT
        )
    ),
    "GroupNormalization": on_features(lambda: layers.GroupNormalization(2, name=SUBJECT)),
    "GroupNormalization of one group": on_features(lambda: layers.GroupNormalization(1, name=SUBJECT)),
    "GroupNormalization of each channel": on_features(lambda: layers.GroupNormalization(-1, name=SUBJECT)),
    "LayerNormalization": on_features(lambda: layers.LayerNormalization(name=SUBJECT)),
    "LayerNormalization of all axes": on_features(lambda: layers.LayerNormalization(axis=[1, 2, 3], name=SUBJECT)),
    "LayerNormalization of space": on_features(lambda: layers.LayerNormalization(axis=[1, 2], name=SUBJECT)),
    "RMSNormalization": on_features(lambda: layers.RMSNormalization(name=SUBJECT)),
    "UnitNormalization": on_features(lambda: layers.UnitNormalization(name=SUBJECT)),
    "UnitNormalization of space": on_features(lambda: layers.UnitNormalization(axis=[1, 2], name=SUBJECT)),
}
MODELS = builders(BODIES) | {
    "Normalization": _adapted(-1),
    "Normalization of all": _adapted(None),
    "Normalization of pixels": _adapted((1, 2, 3)),
    "Normalization by settings": _statistics(mean=[120.0, 115.0, 100.0], variance=[3600.0, 3500.0, 3700.0]),
    "Normalization that was never adapted": _statistics(),
}
