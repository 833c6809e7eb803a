"""Networks that round as an int8 runtime does: for training, and rebuilt from a description."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import iter_blocks
from kdcompress.quantization._copying import call_copied, copy_layer
from kdcompress.quantization._description import (
    KERNEL_LIMIT,
    Grid,
    Quantization,
    kernel_scales,
    make_grid,
)
from kdcompress.quantization._folding import channel_shape
from kdcompress.quantization._graph import Graph, Node, rebuild
from kdcompress.quantization._placement import Placement, place

_MAX_BIAS = 1 << 23  # integers of a bias: exact in float32, and far from overflowing int32
_BATCH = 64
_PER_TENSOR = ("Dense", "Conv2DTranspose")  # TFLite's converter refuses their kernels per channel


@dataclass(frozen=True)
class Rounded:
    """A network that rounds, for training.

    Attributes:
        model: Keras model, from pixels to outputs.
        source: The folded float model of which it was made.
        placement: What is rounded.
        kernels: Rounding layer of each kernel, by the name of its layer.
        activations: Rounding layer of each activation.
    """

    model: Any
    source: Any
    placement: Placement
    kernels: dict[str, Any] = field(default_factory=dict)
    activations: dict[str, Any] = field(default_factory=dict)


def find_ranges(model: Any, placement: Placement, images: Any) -> dict[str, tuple[float, float]]:
    """Find the smallest and largest values of the tensors that will be rounded.

    Args:
        model: Folded float model.
        placement: What is rounded.
        images: Training images, (n, H, W, C).

    Returns:
        The range of each place whose grid is not fixed.
    """
    import keras

    names = [name for name, spot in placement.places.items() if spot.grid is None]
    graph = Graph(model)
    tapped = [node for node in graph.nodes if node.name in names]  # a layer that is called twice has one range
    if not names:
        return {}
    taps = keras.Model(graph.input, [node.outputs[0] for node in tapped])
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for block in iter_blocks(images, _BATCH):
        for node, values in zip(tapped, taps(block.astype(np.float32), training=False), strict=True):
            name = node.name
            low, high = float(np.min(values)), float(np.max(values))
            ranges[name] = (min(ranges[name][0], low), max(ranges[name][1], high))
    return ranges


def start_rounding(model: Any, images: Any, *, keep_zeros: bool = False, clusters: int = 0) -> Rounded:
    """Make the network that quantization-aware training trains.

    Args:
        model: Folded float model, which stays as it is.
        images: Training images from whose activations the ranges start.
        keep_zeros: Whether weights of 0 remain 0.
        clusters: Number of different values of clustered kernels: their equal weights remain equal, so they have one
            scale. 0 if there are none.

    Returns:
        The network.
    """
    from kdcompress.quantization._layers import ActivationRounding, KernelRounding

    placement = place(model)
    ranges = find_ranges(model, placement, images)
    rounded = Rounded(None, model, placement)
    for name, spot in placement.places.items():
        if spot.same_as is None:
            grid = spot.grid or make_grid(*ranges[name], ceiling=spot.ceiling)
            rounded.activations[name] = ActivationRounding(grid, spot.grid is None, f"{name}_range")
    for name, layer in rounded.activations.items():
        if peers := placement.places[name].peers:
            layer.share_scale([rounded.activations[peer] for peer in sorted(peers)])

    def kernel(node: Node, layer: Any) -> Any:
        clustered = len(np.unique(layer.kernel)) <= min(clusters, layer.kernel.shape.num_elements() - 1)
        per_tensor = clustered or node.kind in _PER_TENSOR
        return KernelRounding(
            layer, None, per_tensor=per_tensor, keep_zeros=keep_zeros, keep_clusters=clustered, name=node.name
        )

    built = _build(model, rounded, kernel)
    return Rounded(built, model, placement, rounded.kernels, rounded.activations)


def finish_rounding(rounded: Rounded) -> tuple[Any, Quantization]:
    """Take the trained integers out of a network.

    Args:
        rounded: The trained network.

    Returns:
        A plain float model whose kernels and biases lie on the grid, and the description of the grid.
    """
    grids = _final_grids(rounded)
    weights: dict[str, list[NDArray[Any]]] = {}
    scales: dict[str, list[float]] = {}
    for name, source in rounded.placement.kernels.items():
        layer = rounded.kernels[name]
        bias = np.asarray(layer.layer.bias, np.float64) if layer.layer.use_bias else None
        kernel = np.asarray(layer.kernel, np.float64)
        found = _scales(kernel, bias, layer.layer, layer.per_tensor, grids[source].scale)
        weights[name] = _on_grid(kernel, bias, layer.layer, found, grids[source].scale)
        scales[name] = [float(value) for value in found]
    copies: dict[int, Any] = {}

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        if id(node.operation) not in copies and hasattr(node.operation, "get_weights") and node.kind != "InputLayer":
            own = weights[node.name] if node.name in weights else _trained(rounded, node)
            copies[id(node.operation)] = copy_layer(node.operation, own)
        return call_copied(node, args, kwargs, copies)

    plain = rebuild(rounded.source, call)
    described = Quantization(kernels=scales, activations=grids, float_layers=rounded.placement.float_layers)
    return plain, described


def apply_rounding(model: Any, quantization: Quantization, *, split_calls: bool = False) -> Any:
    """Rebuild the network that rounds from a plain model and a description.

    Args:
        model: Flat functional model whose kernels lie on the grid.
        quantization: The description.
        split_calls: Give each call of a kernel a layer of its own, for converters that do not quantize a kernel which
            several operators read. Their weights differ in the last bit, so that they are not joined again.

    Returns:
        A Keras model from pixels to outputs.
    """
    from kdcompress.quantization._layers import ActivationRounding, KernelRounding

    rounded = Rounded(None, model, Placement({}, [], dict.fromkeys(quantization.kernels, "")))
    for name, grid in quantization.activations.items():
        rounded.activations[name] = ActivationRounding(grid, False, f"{name}_range")

    names: list[str] = []

    def kernel(node: Node, layer: Any) -> Any:
        scales = np.array(quantization.kernels[node.name], np.float32)
        calls = names.count(node.name)
        names.append(node.name)
        layer.kernel.assign(np.asarray(layer.kernel) * (1 + calls * np.float32(np.finfo(np.float32).eps)))
        name = f"{node.name}_call{calls + 1}" if calls else node.name
        return KernelRounding(layer, scales, per_tensor=len(scales) == 1, name=name)

    return _build(model, rounded, kernel, split_calls)


def _build(model: Any, rounded: Rounded, make_kernel: Any, split_calls: bool = False) -> Any:
    """Rebuild a model with roundings behind its places and in its kernels."""
    from kdcompress.quantization._layers import SharedRounding

    copies: dict[int, Any] = {}

    def compute(node: Node, args: Any, kwargs: Any) -> Any:
        if node.name in rounded.placement.kernels and (split_calls or id(node.operation) not in copies):
            made = copy_layer(node.operation)
            made.build(args[0].shape)
            made.set_weights(made.__dict__.pop("_initial"))
            copies[id(node.operation)] = rounded.kernels[node.name] = make_kernel(node, made)
        return call_copied(node, args, kwargs, copies)

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        outputs = compute(node, args, kwargs)
        spot = rounded.placement.places.get(node.name)
        if spot is not None and spot.same_as is not None:
            copies.setdefault(id(spot), SharedRounding(rounded.activations[spot.same_as], f"{node.name}_range"))
            return copies[id(spot)](outputs)
        layer = rounded.activations.get(node.name)
        return outputs if layer is None else layer(outputs)

    return rebuild(model, call)


def _trained(rounded: Rounded, node: Node) -> list[NDArray[Any]]:
    """Weights of a layer that computes in float, after training."""
    return rounded.model.get_layer(node.name).get_weights()  # type: ignore[no-any-return]


def _final_grids(rounded: Rounded) -> dict[str, Grid]:
    ranges = {
        name: (min(float(layer.low), 0.0), max(float(layer.high), 0.0)) for name, layer in rounded.activations.items()
    }
    own = {
        name: rounded.placement.places[name].grid
        or make_grid(*ranges[name], ceiling=rounded.placement.places[name].ceiling)
        for name in ranges
    }
    grids: dict[str, Grid] = {}
    for name, spot in rounded.placement.places.items():
        source = spot.same_as or name
        scale = max((own[peer].scale for peer in rounded.placement.places[source].peers), default=own[source].scale)
        grids[name] = own[source] if scale == own[source].scale else make_grid(*ranges[source], scale)
    return grids


def _scales(
    kernel: NDArray[np.float64], bias: NDArray[np.float64] | None, layer: Any, per_tensor: bool, input_scale: float
) -> NDArray[np.float32]:
    """Scales of a kernel; a channel whose bias would need too large an integer gets a larger one."""
    rest = tuple(axis for axis, size in enumerate(channel_shape(layer)) if size == 1)
    largest = np.abs(kernel).max(axis=rest).reshape(-1)
    if bias is not None:
        largest = np.maximum(largest, np.abs(bias) / (input_scale * _MAX_BIAS) * KERNEL_LIMIT)
    return kernel_scales(largest.max() if per_tensor else largest)


def _on_grid(
    kernel: NDArray[np.float64],
    bias: NDArray[np.float64] | None,
    layer: Any,
    scales: NDArray[np.float32],
    input_scale: float,
) -> list[NDArray[Any]]:
    steps = scales.astype(np.float64).reshape(channel_shape(layer) if len(scales) > 1 else ())
    rounded = [(np.rint(kernel / steps) * steps).astype(np.float32)]
    if bias is not None:
        step = scales.astype(np.float64) * input_scale
        rounded.append((np.rint(bias / step) * step).astype(np.float32))
    return rounded
