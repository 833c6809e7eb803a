"""Which tensors of a folded model are rounded: those that an int8 runtime stores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcompress.quantization._description import LEVELS, Grid
from kdcompress.quantization._folding import FUSED, KERNELS, activation_name
from kdcompress.quantization._graph import Graph, Node

# Operations whose outputs are values of their inputs: they stay on the same grid
_PASSING = (
    "Flatten", "Reshape", "Permute", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout",
    "MaxPooling2D", "ZeroPadding2D", "Cropping2D", "Identity", "Flip",
    "ActivityRegularization", "CenterCrop",
)  # fmt: skip
# Int8 kernels write these on the grid of their input; maxima are rounded again, which changes nothing, as a sign for
# onnxruntime to compute them in integers
_SHARING = ("AveragePooling2D", "GlobalMaxPooling2D", "UpSampling2D")
_INTEGER = ("Add", "Multiply", "Subtract", "Concatenate", "GlobalAveragePooling2D", "LeakyReLU", "InputLayer")
_FIXED = {"sigmoid": Grid(scale=1 / 256, zero_point=0), "softmax": Grid(scale=1 / 256, zero_point=0)}
_FIXED["tanh"] = Grid(scale=1 / 128, zero_point=128)
PIXELS = Grid(scale=1.0, zero_point=0)
_SIX = 6.0


@dataclass
class Place:
    """A tensor that is rounded.

    Attributes:
        node: The node that computes it.
        grid: Its grid, if that is fixed.
        ceiling: Value at which the operation itself clips.
        same_as: Name of the place whose grid it has.
        peers: Names of the places with the same scale.
    """

    node: Node
    grid: Grid | None = None
    ceiling: float | None = None
    same_as: str | None = None
    peers: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Placement:
    """The rounded tensors of a model.

    Attributes:
        places: By the name of their layer.
        float_layers: Names of the layers without an int8 counterpart.
        kernels: Names of the layers whose kernels are rounded, with the place of their input.
    """

    places: dict[str, Place]
    float_layers: list[str]
    kernels: dict[str, str]


def place(model: Any) -> Placement:
    """Choose the tensors of a folded model that are rounded.

    An activation that an int8 kernel fuses is rounded behind it; pooling and reshaping stay on the grid of their input.
    The inputs and the output of an addition or a concatenation have one scale: integers are then added exactly, where
    runtimes would otherwise round in ways of their own.

    Args:
        model: Result of `fold`.

    Returns:
        The placement.
    """
    graph = Graph(model)
    places, floats = dict(_list_places(graph)), []
    kernels: dict[str, str] = {}
    for node in graph.nodes:
        source = _source(graph, node, places) if node.kind in KERNELS else None
        if source is not None and _has_int8_kernel(node.operation):
            kernels[node.name] = source
        elif not _is_integer(node, places):
            floats.append(node.name)
    _share(graph, places)
    return Placement(places, floats, kernels)


def is_relu(node: Node) -> bool:
    """Return whether a node is a ReLU or ReLU6, which int8 kernels fuse.

    Args:
        node: The node.
    """
    if node.kind == "ReLU":
        layer = node.operation
        plain = not getattr(layer, "negative_slope", 0) and not getattr(layer, "threshold", 0)
        return plain and getattr(layer, "max_value", None) in (None, _SIX)
    return node.kind == "Relu6" or (node.kind == "Activation" and activation_name(node.operation) in FUSED[1:])


def pixel_grid(layer: Any) -> Grid | None:
    """Return the grid on which a Rescaling maps pixels exactly; None if there is none.

    Args:
        layer: A Rescaling.
    """
    scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
    if scale.ndim or offset.ndim or not scale > 0:
        return None
    zero_point = float(-offset / scale)
    fits = zero_point.is_integer() and 0 <= zero_point <= LEVELS
    return Grid(scale=float(scale), zero_point=int(zero_point)) if fits else None


def scaling(graph: Graph) -> Node | None:
    """Find the Rescaling or Normalization through which all pixels go first, or None.

    Args:
        graph: The graph.
    """
    node: Node | None = graph.nodes[0]
    while node is not None:
        node = graph.only_consumer(node)
        if node is None or node.kind in ("Rescaling", "Normalization"):
            return node
        if node.kind not in _PASSING and not node.kind.startswith("Random"):
            return None
    return None


def _list_places(graph: Graph) -> Iterator[tuple[str, Place]]:
    start = scaling(graph)
    if start is None:
        yield graph.nodes[0].name, Place(graph.nodes[0], PIXELS)
    waiting = start is not None  # until the pixels are scaled, nothing is rounded
    for node in graph.nodes[1:]:
        if node is start:
            waiting = False
            grid = pixel_grid(node.operation) if node.kind == "Rescaling" else None
            yield node.name, Place(node, grid)
        elif not waiting and node.kind not in _PASSING and len(node.outputs) == 1 and not _is_fused(graph, node):
            name = activation_name(node.operation)
            yield node.name, Place(node, _FIXED.get(name), ceiling=_SIX if _clips(node) else None)


def _is_fused(graph: Graph, node: Node) -> bool:
    """Whether the only reader of a node is a ReLU that runtimes fuse with it."""
    reader = graph.only_consumer(node)
    fusing = node.kind in (*KERNELS, "Add") and activation_name(node.operation) == "linear"
    return fusing and reader is not None and is_relu(reader)


def _clips(node: Node) -> bool:
    return activation_name(node.operation) == "relu6" or getattr(node.operation, "max_value", None) == _SIX


def _source(graph: Graph, node: Node, places: dict[str, Place]) -> str | None:
    """The place whose grid the first input of a node is on."""
    node = graph.producer(node)
    while node.name not in places:
        if node.kind not in _PASSING or not node.inputs:
            return None
        node = graph.producer(node)
    return node.name


def _has_int8_kernel(layer: Any) -> bool:
    """Whether runtimes have an int8 kernel of a layer; TFLite's converter computes dilated convolutions in float."""
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return channels_last and set(np.ravel(getattr(layer, "dilation_rate", 1))) == {1}


def _is_integer(node: Node, places: dict[str, Place]) -> bool:
    if node.kind == "Rescaling":
        return node.name in places and places[node.name].grid is not None
    fixed = node.kind in ("Activation", "Softmax") and activation_name(node.operation) in _FIXED
    return node.kind in (*_PASSING, *_SHARING, *_INTEGER) or is_relu(node) or fixed or node.kind.startswith("Random")


def _share(graph: Graph, places: dict[str, Place]) -> None:
    for node in graph.nodes:
        if node.kind in _SHARING and (source := _source(graph, node, places)) is not None:
            places[node.name].same_as = source
        if node.kind in ("Add", "Concatenate"):
            output = node.name if node.name in places else graph.consumers(node)[0].name
            sources = [_producer_place(graph, tensor, places) for tensor in node.inputs]
            members = {name for name in (output, *sources) if name and places[name].grid is None}
            for name in set(members):
                members |= places[name].peers
            for name in members:
                places[name].peers = members


def _producer_place(graph: Graph, tensor: Any, places: dict[str, Place]) -> str | None:
    node = graph.producers[id(tensor)]
    while node.name not in places:
        if node.kind not in _PASSING:
            return None
        node = graph.producer(node)
    return places[node.name].same_as or node.name
