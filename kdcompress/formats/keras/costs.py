"""Cost of a `.keras` file."""

from __future__ import annotations

from pathlib import Path

from kdcompress.models import load_saved_model
from kdcompress.teachers import Selection
from kdcompress.verification.costs import Cost, FileCosts, cost_of_model
from kdcompress.verification.costs._base import Shape


class KerasCosts(FileCosts):
    """Counts the cost of Keras files."""

    kind = ".keras"

    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Load the model and count its cost with `cost_of_model`."""
        return cost_of_model(load_saved_model(path), input_shape)


COSTS = KerasCosts
