"""Correction of p-values for the number of comparisons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Adjust p-values so that the chance of any false claim among them stays below the level of one test.

    Holm, "A simple sequentially rejective multiple test procedure" (1979): the i-th smallest of m p-values is
    multiplied by m - i + 1, and none comes below a smaller one. It holds whatever the tests share.

    Args:
        p_values: Shape (m,), each in [0, 1].

    Returns:
        Adjusted p-values (m,), in the same order, at most 1.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * factors)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
