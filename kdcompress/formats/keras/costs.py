"""The cost of a `.keras` file: that of the model in it."""

from __future__ import annotations

from pathlib import Path

from kdcompress.models import load_saved_model
from kdcompress.verification.costs import Cost, FileCosts, cost_of_model
from kdcompress.verification.costs._base import Shape


def cost_of_keras(path: Path, input_shape: Shape | None) -> Cost:
    """The cost of a `.keras` file; see `cost_of_model`."""
    return cost_of_model(load_saved_model(path), input_shape)


COSTS = FileCosts(".keras", cost_of_keras)
