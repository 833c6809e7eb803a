"""What a model costs: parameters, MACs and FLOPs of a Keras model, or of a file of any kind in `formats/`."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.runs.integrity import check_integrity
from kdcompress.teachers import Selection
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape
from kdcompress.verification.costs.network import cost_of_model

__all__ = ["Cost", "FileCosts", "LayerCost", "cost_of_file", "cost_of_model"]


def cost_of_file(path: Path, input_shape: Shape | None, selection: Selection | None = None) -> Cost:
    """Compute the cost of a model file on one image.

    Args:
        path: Model file or folder of any kind in `formats/`.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        selection: The part of the file that counts; all of it by default.

    Returns:
        The cost.

    Raises:
        ModelError: The file is of no known kind, or cannot be counted.
    """
    if not path.exists():
        raise ModelError(f"model file {path} does not exist")
    counters: list[FileCosts] = [registry.load("costs", name)() for name in registry.choices("costs")]
    counter = next((counter for counter in counters if counter.owns(path)), None)
    if counter is None:
        *names, last = sorted(counter.kind for counter in counters)
        raise ModelError(f"a model file is {', '.join(names)} or {last}, got {path}")
    check_integrity(path)
    return counter.count(path, input_shape, selection or Selection())
