"""What a model costs: parameters, MACs and FLOPs of a Keras model or of a file; one file here per kind of file."""

from __future__ import annotations

from pathlib import Path

from kdcompress.errors import ModelError
from kdcompress.verification.costs._base import Cost, LayerCost, Shape
from kdcompress.verification.costs.keras import cost_of_keras, cost_of_model
from kdcompress.verification.costs.onnx import cost_of_onnx
from kdcompress.verification.costs.saved_model import cost_of_saved_model
from kdcompress.verification.costs.tflite import cost_of_tflite

__all__ = ["Cost", "LayerCost", "cost_of_file", "cost_of_model"]

_FILES = {".keras": cost_of_keras, ".onnx": cost_of_onnx, ".tflite": cost_of_tflite}


def cost_of_file(path: Path, input_shape: Shape | None) -> Cost:
    """The cost of a model file on one image (H, W, C), by its kind: `.keras`, `.onnx`, `.tflite`, a SavedModel folder.

    `input_shape` is needed where the file leaves a size open. Errors: ModelError.
    """
    if not path.exists():
        raise ModelError(f"model file {path} does not exist")
    if (path / "saved_model.pb").is_file():
        return cost_of_saved_model(path, input_shape)
    if path.suffix not in _FILES or not path.is_file():
        raise ModelError(f"a model file is .keras, .onnx, .tflite or a SavedModel folder, got {path}")
    return _FILES[path.suffix](path, input_shape)
