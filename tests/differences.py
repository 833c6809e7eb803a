"""Slopes of a function by finite differences, to hold gradients against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def slopes(function: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-2) -> np.ndarray:
    """The slope along every element."""
    found = np.zeros(at.shape)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        found[index] = (function(up) - function(down)) / (2 * step)
    return found
