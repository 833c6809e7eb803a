"""Walking and rebuilding of functional Keras graphs, node by node, nested models included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.errors import ModelError


@dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation.

    Attributes:
        operation: Keras layer or operation.
        args: Positional arguments; tensors of the graph are KerasTensors.
        kwargs: Keyword arguments.
        inputs: Input tensors.
        outputs: Output tensors.
    """

    operation: Any
    args: Any
    kwargs: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Name of the operation."""
        return str(self.operation.name)

    @property
    def kind(self) -> str:
        """Class name of the operation."""
        return type(self.operation).__name__


Call = Callable[[Node, Any, Any], Any]
"""Computes the outputs of a node from its arguments, whose tensors are those of the new graph."""


class Graph:
    """The nodes of a flat functional model, from input to output.

    Args:
        model: Functional or Sequential Keras model with one input and one output, without models inside it.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.nodes = model, list_nodes(model)
        self.input, self.output = functional(model).inputs[0], functional(model).outputs[0]
        self.producers = {id(tensor): node for node in self.nodes for tensor in node.outputs}
        self._consumers: dict[int, list[Node]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                self._consumers.setdefault(id(tensor), []).append(node)
        self._calls = Counter(id(node.operation) for node in self.nodes)

    def consumers(self, node: Node) -> list[Node]:
        """Return the nodes that read the outputs of a node, once for each reading."""
        return [reader for tensor in node.outputs for reader in self._consumers.get(id(tensor), [])]

    def producer(self, node: Node) -> Node:
        """Return the node that computes the first input of a node."""
        return self.producers[id(node.inputs[0])]

    def only_consumer(self, node: Node) -> Node | None:
        """Return the only node that reads a node, which is called once and is not the output; None otherwise."""
        readers = self.consumers(node)
        once = self._calls[id(node.operation)] == 1 and all(tensor is not self.output for tensor in node.outputs)
        return readers[0] if once and len(readers) == 1 and self._calls[id(readers[0].operation)] == 1 else None


def functional(model: Any) -> Any:
    """Return the functional graph of a model.

    Args:
        model: Keras model.

    Returns:
        A functional model; that inside a Sequential.

    Raises:
        ModelError: The model is subclassed, or has several inputs or outputs.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(
            f"quantization-aware training takes a functional or Sequential model, and {model.name} is subclassed "
            f"({type(model).__name__}), so that the order of its layers is not known; build it of layers"
        )
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            f"quantization-aware training takes a model of one input and one output, and {model.name} has "
            f"{len(graph.inputs)} and {len(graph.outputs)}"
        )
    return graph


def list_nodes(model: Any) -> list[Node]:
    """List the calls of a model's own layers and operations, from input to output.

    Args:
        model: Functional or Sequential model.
    """
    graph = functional(model)
    nodes = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            arguments = node.arguments
            inputs, outputs = tuple(arguments.keras_tensors), tuple(node.outputs)
            nodes.append(Node(node.operation, arguments.args, arguments.kwargs, inputs, outputs))
    return nodes


def rebuild(model: Any, call: Call, name: str | None = None) -> Any:
    """Build a new functional model by calling something else for each node of a model.

    Models inside the model are replaced by their nodes.

    Args:
        model: Functional or Sequential model.
        call: Makes the outputs of each node.
        name: Name of the new model; that of the model by default.

    Returns:
        The new model.
    """
    import keras

    (image,) = functional(model).inputs
    start = keras.Input(batch_shape=image.shape, dtype=image.dtype, name=image.name)
    return keras.Model(start, replay(model, start, call), name=name or model.name)


def replay(model: Any, start: Any, call: Call) -> Any:
    """Compute the output of a model on a tensor, node by node.

    Args:
        model: Functional or Sequential model.
        start: Input tensor.
        call: Makes the outputs of each node.

    Returns:
        The output tensor.
    """
    import keras

    graph = functional(model)
    tensors: dict[int, Any] = {id(graph.inputs[0]): start}
    for node in list_nodes(model):
        if node.kind == "InputLayer":
            tensors[id(node.outputs[0])] = _first(call(node, (start,), {}))
            continue
        args, kwargs = keras.tree.map_structure(
            lambda value: tensors.get(id(value), value) if isinstance(value, keras.KerasTensor) else value,
            (node.args, node.kwargs),
        )
        if isinstance(node.operation, keras.Model):
            outputs = replay(node.operation, args[0], call)
        else:
            outputs = call(node, args, kwargs)
        flat = outputs if isinstance(outputs, Sequence) else [outputs]
        tensors.update((id(old), new) for old, new in zip(node.outputs, flat, strict=True))
    return tensors[id(graph.outputs[0])]


def _first(outputs: Any) -> Any:
    return outputs[0] if isinstance(outputs, list | tuple) else outputs
