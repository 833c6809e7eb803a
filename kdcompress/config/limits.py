"""Upper limits of a recipe: what no honest one asks for."""

from __future__ import annotations

MOST_EPOCHS, MOST_BATCH, MOST_RATE, MOST_IMAGES = 1_000_000, 1_000_000, 1000.0, 1_000_000_000_000
MOST_SIDE, MOST_SCALE, MOST_CLASSES, MOST_PARTS = 16_384, 1e6, 1_000_000, 100
