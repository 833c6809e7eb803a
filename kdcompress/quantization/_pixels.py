"""Preprocessing of pixels in integers: a grid on which each pixel is one integer, and its removal from int8 files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.quantization._copying import call_copied, call_copy, copy_layer
from kdcompress.quantization._description import LEVELS, Grid, Quantization
from kdcompress.quantization._graph import Graph, Node, rebuild
from kdcompress.quantization._placement import PIXELS, pixel_grid, scaling

_PADDING = ("ZeroPadding2D", "Flatten", "Dropout")


def align_pixels(model: Any) -> Any:
    """Change the preprocessing of a folded model so that its output represents each pixel by one integer.

    Pixels p are mapped to s * (p - m) with a power of 2 and an integer, and what this changes goes into the kernel and
    the bias of the next layer. Usual preprocessing has no such integer m: with p / 127.5 - 1, 0 lies between two
    pixels, and all pixels lie between two integers. The outputs stay the same, but for a padded convolution, whose
    border of zeros then is half a pixel lighter.

    Args:
        model: Result of `fold`.

    Returns:
        A new model; the model itself if its preprocessing is not a Rescaling or Normalization before one kernel.
    """
    graph = Graph(model)
    start = scaling(graph)
    target = None if start is None else _next_kernel(graph, start)
    if start is None or target is None or (start.kind == "Rescaling" and _is_aligned(start.operation)):
        return model
    channels = int(start.outputs[0].shape[-1])
    factor, shift = _affine(start.operation, channels)
    if not (factor > 0).all():
        return model
    scale = 2.0 ** round(math.log2(float(factor.max())))
    middle = int(np.clip(round(float(np.mean(-shift / factor))), 0, LEVELS))
    weights = _moved_weights(target.operation, factor / scale, factor * middle + shift)
    copies: dict[int, Any] = {}

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        if node.name == start.name:
            return _rescaling(scale, -middle * scale, node.name)(args[0])
        if node.name == target.name:
            return call_copy(copy_layer(node.operation, weights, use_bias=True), *args, **kwargs)
        return call_copied(node, args, kwargs, copies)

    return rebuild(model, call)


def integer_pixels(model: Any, quantization: Quantization) -> tuple[Any, Quantization]:
    """Remove the preprocessing of a model that is on the grid of the pixels, so that its integers are the pixels.

    Its scale goes into the next kernels, whose integers stay. What is left is the subtraction of an integer, if zeros
    are not black pixels.

    Args:
        model: Plain model.
        quantization: Its description.

    Returns:
        The model and its description; unchanged if the preprocessing is not on the grid of the pixels.
    """
    graph = Graph(model)
    start = scaling(graph)
    grid = None if start is None else quantization.activations.get(start.name)
    if start is None or grid is None or start.kind != "Rescaling" or pixel_grid(start.operation) != grid:
        return model, quantization
    target = _next_kernel(graph, start)
    if target is None or target.name not in quantization.kernels:
        return model, quantization
    kernel, *rest = target.operation.get_weights()
    copies: dict[int, Any] = {}

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        if node.name == start.name:
            return _rescaling(1.0, -float(grid.zero_point), node.name)(args[0]) if grid.zero_point else args[0]
        if node.name == target.name:
            scaled = [(kernel.astype(np.float64) * grid.scale).astype(np.float32), *rest]
            return call_copy(copy_layer(node.operation, scaled), *args, **kwargs)
        return call_copied(node, args, kwargs, copies)

    scales = [scale * grid.scale for scale in quantization.kernels[target.name]]
    activations = {name: value for name, value in quantization.activations.items() if name != start.name}
    activations[graph.nodes[0].name] = PIXELS
    if grid.zero_point:
        activations[start.name] = Grid(scale=1.0, zero_point=grid.zero_point)
    changes = {"kernels": {**quantization.kernels, target.name: scales}, "activations": activations}
    return rebuild(model, call), quantization.model_copy(update=changes)


def _next_kernel(graph: Graph, start: Node) -> Node | None:
    """The only layer with a kernel that reads the scaled pixels, with at most padding and flattening between."""
    node = graph.only_consumer(start)
    while node is not None and node.kind in _PADDING:
        node = graph.only_consumer(node)
    if node is None or node.kind not in ("Conv2D", "DepthwiseConv2D", "Dense"):
        return None
    return node if getattr(node.operation, "groups", 1) == 1 else None


def _is_aligned(layer: Any) -> bool:
    """Whether a Rescaling is on the grid of the pixels already, with a power of 2 as its scale."""
    grid = pixel_grid(layer)
    return grid is not None and math.frexp(grid.scale)[0] == 0.5


def _affine(layer: Any, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and shift of each channel of a Rescaling or Normalization."""
    if type(layer).__name__ == "Rescaling":
        factor, shift = (np.asarray(value, np.float64) for value in (layer.scale, layer.offset))
    else:
        mean, deviation = np.asarray(layer.mean, np.float64), np.sqrt(np.asarray(layer.variance, np.float64))
        factor = 1 / np.maximum(deviation, 1e-7)
        shift = -mean * factor
        if layer.invert:
            factor, shift = deviation, mean
    return np.broadcast_to(factor.reshape(-1), channels), np.broadcast_to(shift.reshape(-1), channels)


def _moved_weights(layer: Any, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Kernel and bias of a layer whose input was factor * x + shift, by channel, for the input x."""
    kernel = np.asarray(layer.kernel, np.float64)
    axis = kernel.ndim - 2
    repeats = kernel.shape[axis] // len(factor)  # a flattened image has its channels last
    shape = [1] * kernel.ndim
    shape[axis] = -1
    factors, shifts = (np.tile(value, repeats).reshape(shape) for value in (factor, shift))
    constant = (kernel * shifts).reshape(-1, *kernel.shape[2:]) if kernel.ndim == 4 else kernel * shifts
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    added = constant.sum(axis=0) if depthwise or kernel.ndim == 2 else constant.sum(axis=(0, 1))
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
    return [(kernel * factors).astype(np.float32), (added.reshape(-1) + bias).astype(np.float32)]


def _rescaling(scale: float, offset: float, name: str) -> Any:
    import keras

    return keras.layers.Rescaling(scale, offset=offset, name=name)
