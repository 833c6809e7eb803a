"""What a model costs: parameters, MACs and FLOPs of a Keras model, or of a file of any kind in `formats/`."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.errors import ModelError
from kdcompress.runs.integrity import check_integrity
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape
from kdcompress.verification.costs.network import cost_of_model

__all__ = ["Cost", "FileCosts", "LayerCost", "cost_of_file", "cost_of_model"]


def cost_of_file(path: Path, input_shape: Shape | None) -> Cost:
    """The cost of a model file on one image (H, W, C), by its kind.

    `input_shape` is needed where the file leaves a size open. Errors: ModelError.
    """
    if not path.exists():
        raise ModelError(f"model file {path} does not exist")
    kinds: list[FileCosts] = [registry.load("costs", name)() for name in registry.choices("costs")]
    kind = next((one for one in kinds if one.owns(path)), None)
    if kind is None:
        *names, last = sorted(one.kind for one in kinds)
        raise ModelError(f"a model file is {', '.join(names)} or {last}, got {path}")
    check_integrity(path)
    return kind.count(path, input_shape)
