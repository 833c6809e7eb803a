"""Checks that a description belongs to the model beside it, and the integers that it describes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import RunError
from kdcompress.quantization._description import Quantization
from kdcompress.quantization._folding import KERNELS, channel_shape
from kdcompress.quantization._graph import list_nodes

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
        channels = int(np.prod(channel_shape(layer)))
        if len(scales) not in (1, channels):
            _refuse(f"layer {name} has {len(scales)} scales for {channels} channels")
        steps = _steps(layer, scales)
        if np.abs(steps - np.rint(steps)).max() > _OFF_GRID or np.abs(steps).max() > _LARGEST + _OFF_GRID:
            _refuse(f"the kernel of layer {name} does not lie on its grid")


def list_integers(model: Any, quantization: Quantization) -> list[tuple[str, NDArray[np.int8]]]:
    """List the integers of the trained kernels.

    Args:
        model: Plain Keras model, flat.
        quantization: Its description.

    Returns:
        The name of the layer and its kernel for each of its calls on another tensor: (outputs, ...), where height,
        width and inputs follow.
    """
    calls = {(node.name, tuple(map(id, node.inputs))): node.operation for node in list_nodes(model)}
    integers = {}
    for layer in calls.values():
        if layer.name in quantization.kernels and layer.name not in integers:
            scales = np.array(quantization.kernels[layer.name])
            steps = np.asarray(layer.kernel, np.float64) / scales.reshape(
                channel_shape(layer) if scales.size > 1 else ()
            )
            integers[layer.name] = _outputs_first(np.rint(steps).astype(np.int8), type(layer).__name__)
    return [(name, integers[name]) for name, _ in calls if name in integers]


def _steps(layer: Any, scales: list[float]) -> NDArray[np.float64]:
    """The kernel of a layer in units of its scales."""
    shape = channel_shape(layer) if len(scales) > 1 else ()
    steps: NDArray[np.float64] = np.asarray(layer.kernel, np.float64) / np.array(scales).reshape(shape)
    return steps


def _outputs_first(kernel: NDArray[np.int8], kind: str) -> NDArray[np.int8]:
    if kind == "DepthwiseConv2D":
        return np.moveaxis(kernel.reshape(*kernel.shape[:2], -1), -1, 0)
    return np.moveaxis(kernel, 2 if kind == "Conv2DTranspose" else -1, 0)


def _refuse(problem: str) -> None:
    raise RunError(f"quantization.json does not belong to the student beside it ({problem}); compress the run again")
