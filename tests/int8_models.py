"""Models whose integers are tested."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers


def randomize(model: Any) -> Any:
    """Random weights, with statistics of BatchNorm that are far from 0 and 1."""
    rng = np.random.default_rng(0)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            n = layer.moving_mean.shape[0]
            values = [rng.uniform(0.5, 2, n), rng.normal(0, 1, n), rng.normal(0, 1, n), rng.uniform(0.1, 3, n)]
            layer.set_weights([*values[:1][: layer.scale], *values[1:2][: layer.center], *values[2:]])
        elif hasattr(layer, "bias") and layer.bias is not None:
            layer.bias.assign(rng.normal(0, 0.3, layer.bias.shape))
    return model
