"""Warnings of a benchmark whose times did not settle, or grew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdcompress.benchmarking._result import Measured
from kdcompress.benchmarking._statistics import MIN_ROUNDS

_DRIFT = 1.15  # last third / first third, above which times are not steady


def unsettled_warning(measured: Sequence[Measured]) -> str | None:
    """Warn of models whose times did not settle during warm-up.

    Args:
        measured: Measurements of all models.

    Returns:
        The warning, or None.
    """
    names = dict.fromkeys(model.subject.label for model in measured if not model.inference.warm_up["settled"])
    if not names:
        return None
    return f"the times of {', '.join(names)} did not settle during warm-up: the machine is not steady"


def drift_warning(measured: Sequence[Measured]) -> str | None:
    """Warn of models whose calls took longer at the end than at the start, as on a machine that heats up.

    Args:
        measured: Measurements of all models.

    Returns:
        The warning, or None.
    """
    drifts = [drift for model in measured if (drift := _drift(model)) is not None]
    drift = float(np.median(drifts)) if drifts else 1.0
    if drift <= _DRIFT:
        return None
    return (
        f"calls took {100 * (drift - 1):.0f} % longer in the last third of the benchmark than in the first: the "
        "machine slowed down; ratios hold, since models took turns, but times of its start do not last"
    )


def _drift(measured: Measured) -> float | None:
    """Median time of the last third of turns / that of the first; None for few turns."""
    turns = measured.inference.turns
    third = len(turns) // 3
    if third < MIN_ROUNDS:
        return None
    first, last = (np.median([np.median(turn) for turn in part]) for part in (turns[:third], turns[-third:]))
    return float(last / first)
