"""From dyes to a scanned picture: light through dyes (Beer and Lambert), then blur and noise of the scanner.

Everything varies from image to image, and nothing of it knows what is in the tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# How much of red, green and blue a full dose of haematoxylin, eosin and mucus takes (optical density)
_DENSITY = np.array([[1.35, 1.45, 0.65], [0.18, 1.25, 0.5], [0.55, 0.35, 0.12]])


def simulate_scan(dyes: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture (size, size, 3) in RGB that a scanner makes of a drawing of dyes, a multiple of that size."""
    blur = rng.uniform(0.0, 0.0045) * dyes.width
    small = dyes.filter(ImageFilter.GaussianBlur(blur)).resize((size, size), Image.Resampling.BOX)
    dose = np.asarray(small, np.float32) / 255
    dose *= (1 + _clouds(size, 6, 0.12, rng) + _clouds(size, 40, 0.10, rng))[..., None]
    light = _lamp(rng) * np.exp(-dose @ _densities(rng))
    light = 255 * light ** rng.uniform(0.8, 1.25) + rng.uniform(1, 7) * rng.standard_normal(light.shape, np.float32)
    return np.asarray(np.clip(light + 0.5, 0, 255), np.uint8)


def _densities(rng: np.random.Generator) -> NDArray[np.float32]:
    """The densities of the three dyes, (3, 3), in the shade and the strength of one laboratory."""
    shade = _DENSITY + rng.normal(0, 0.12, (3, 3)) * _DENSITY.max(axis=1, keepdims=True)
    strength = np.array([rng.uniform(0.6, 1.3), rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.2)])
    return np.asarray(np.clip(shade, 0.02, None) * strength[:, None], np.float32)


def _lamp(rng: np.random.Generator) -> NDArray[np.float32]:
    """The light where there is no tissue, (3,), 1 being white."""
    return np.asarray(rng.uniform(0.82, 1.0) * (1 - rng.uniform(0, 0.07, 3)), np.float32)


def _clouds(size: int, cells: int, spread: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth random field (size, size) about 0, with about `cells` bumps from side to side."""
    coarse = Image.fromarray(rng.normal(0, spread, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float32)
