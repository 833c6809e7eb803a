"""Student's t distribution of whole degrees of freedom, for intervals on devices, where SciPy is not installed."""

from __future__ import annotations

import math

_STEPS = 200  # of bisection, more than a float has bits


def t_central(t: float, dof: int) -> float:
    """Compute the probability that |T| is at most t (Abramowitz and Stegun 1964, equations 26.7.3 and 26.7.4).

    Args:
        t: Value, >= 0.
        dof: Degrees of freedom, >= 1.

    Returns:
        The probability, in [0, 1).
    """
    angle = math.atan(t / math.sqrt(dof))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = dof % 2 == 1
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    for k in range(2 if odd else 1, dof - 1, 2):
        term *= cosine**2 * k / (k + 1)
        total += term
    if odd:
        return 2 / math.pi * (angle + (sine * total if dof > 1 else 0.0))
    return sine * total


def t_quantile(central: float, dof: int) -> float:
    """Compute the value that |T| does not exceed with a given probability.

    Args:
        central: Probability, in (0, 1).
        dof: Degrees of freedom, >= 1.

    Returns:
        The value, >= 0.
    """
    low, high = 0.0, 1.0
    while t_central(high, dof) < central:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if t_central(middle, dof) < central else (low, middle)
    return high
