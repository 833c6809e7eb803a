"""Upper limits of values in a recipe, far above any sensible setting."""

from __future__ import annotations

MAX_EPOCHS, MAX_BATCH, MAX_RATE, MAX_IMAGES = 1_000_000, 1_000_000, 1000.0, 1_000_000_000_000
MAX_SIDE, MAX_SCALE, MAX_CLASSES, MAX_PARTS = 16_384, 1e6, 1_000_000, 100
