"""Check that a description belongs to the model beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.errors import RunError
from kdcompress.quantization._description import Quantization
from kdcompress.quantization._folding import KERNELS, channel_shape

_OFF_GRID = 0.01  # steps
_LARGEST = 127


def check_fit(model: Any, quantization: Quantization) -> None:
    """Check that the layers of a description exist, and that their kernels lie on its grid.

    Args:
        model: Plain Keras model.
        quantization: The description, read from an untrusted file.

    Raises:
        RunError: They do not fit.
    """
    layers = {operation.name: operation for operation in getattr(model, "operations", model.layers)}
    for name in (*quantization.kernels, *quantization.activations):
        if name not in layers:
            _refuse(f"the model has no layer {name}")
    for name, scales in quantization.kernels.items():
        layer = layers[name]
        if type(layer).__name__ not in KERNELS:
            _refuse(f"layer {name} has no kernel that can be quantized")
        kernel = np.asarray(layer.kernel, np.float64)
        shape = channel_shape(layer)
        if len(scales) not in (1, int(np.prod(shape))):
            _refuse(f"layer {name} has {len(scales)} scales for {int(np.prod(shape))} channels")
        steps = kernel / np.array(scales).reshape(shape if len(scales) > 1 else ())
        if np.abs(steps - np.rint(steps)).max() > _OFF_GRID or np.abs(steps).max() > _LARGEST + _OFF_GRID:
            _refuse(f"the kernel of layer {name} does not lie on its grid")


def _refuse(problem: str) -> None:
    raise RunError(f"quantization.json does not belong to the student beside it ({problem}); compress the run again")
