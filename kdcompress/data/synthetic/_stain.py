"""Simulated staining and scanning: absorption of light by dyes (Beer-Lambert law), blur and noise.

All parameters vary from image to image, independently of the tissue.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

# Optical density in red, green and blue of a full dose of haematoxylin, eosin and mucus
_DENSITY = np.array([[1.35, 1.45, 0.65], [0.18, 1.25, 0.5], [0.55, 0.35, 0.12]])


def simulate_scan(dyes: Image.Image, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Simulate the scan of stained tissue.

    Args:
        dyes: Doses of haematoxylin, eosin and mucus in the channels; its size is a multiple of `size`.
        size: Height and width of the scan in pixels.
        rng: Random generator.

    Returns:
        RGB pixels, (size, size, 3).
    """
    blur = rng.uniform(0.0, 0.0045) * dyes.width
    small = dyes.filter(ImageFilter.GaussianBlur(blur)).resize((size, size), Image.Resampling.BOX)
    dose = np.asarray(small, np.float32) / 255
    dose *= (1 + _clouds(size, 6, 0.12, rng) + _clouds(size, 40, 0.10, rng))[..., None]
    light = _lamp(rng) * np.exp(-dose @ _densities(rng))
    light = 255 * light ** rng.uniform(0.8, 1.25) + rng.uniform(1, 7) * rng.standard_normal(light.shape, np.float32)
    return np.asarray(np.clip(light + 0.5, 0, 255), np.uint8)


def _densities(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the optical densities (3, 3) of the dyes of one laboratory."""
    shade = _DENSITY + rng.normal(0, 0.12, (3, 3)) * _DENSITY.max(axis=1, keepdims=True)
    strength = np.array([rng.uniform(0.6, 1.3), rng.uniform(0.5, 1.4), rng.uniform(0.5, 1.2)])
    return np.asarray(np.clip(shade, 0.02, None) * strength[:, None], np.float32)


def _lamp(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the background colour (3,), where 1 is white."""
    return np.asarray(rng.uniform(0.82, 1.0) * (1 - rng.uniform(0, 0.07, 3)), np.float32)


def _clouds(size: int, cells: int, spread: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a smooth random field (size, size) with mean 0 and about `cells` bumps per side."""
    coarse = Image.fromarray(rng.normal(0, spread, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float32)
