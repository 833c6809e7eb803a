"""Small models, one for each layer and function that image networks use."""

from __future__ import annotations

from layer_zoo import (
    activations,
    attention,
    convolutions,
    functions,
    normalizations,
    random_layers,
    shapes,
    structures,
)
from layer_zoo._parts import CHANNELS, CLASSES, HEIGHT, SUBJECT, WIDTH, Builder

_FAMILIES = (convolutions, shapes, normalizations, activations, attention, random_layers, functions, structures)
ZOO: dict[str, Builder] = {name: build for family in _FAMILIES for name, build in family.MODELS.items()}
SHAPE = (HEIGHT, WIDTH, CHANNELS)

__all__ = ["CLASSES", "SHAPE", "SUBJECT", "ZOO", "Builder"]
