"""Execution of the graph of a Keras model, nested models included, with other operations or other values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.errors import ModelError


@dataclass(frozen=True)
class Node:
    """One call of an operation in a graph.

    Attributes:
        operation: Keras layer, or operation without a layer.
        path: Its name, behind those of the models around it: "encoder/conv1".
        input_shapes: Shapes of its input tensors, with the batch.
        output_shapes: Shapes of its output tensors, with the batch.
    """

    operation: Any
    path: str
    input_shapes: tuple[tuple[int | None, ...], ...]
    output_shapes: tuple[tuple[int | None, ...], ...]


Call = Callable[[Node, tuple[Any, ...], dict[str, Any]], Any]
Enter = Callable[[Any, str, list[Any]], None]


def check_graph(model: Any) -> None:
    """Check that a model is a graph of layers.

    Args:
        model: Keras model.

    Raises:
        ModelError: It is a subclassed model, or has no input shape yet.
    """
    if not is_graph(model):
        raise ModelError(
            f"channels are removed from functional and Sequential models with an input shape, and {model.name} is a "
            f"{type(model).__name__} whose layers have no known order; build it from keras.Input and layers, and copy "
            "its weights with set_weights"
        )


def is_graph(operation: Any) -> bool:
    """Whether an operation is a functional or Sequential model that runs its graph, without code of its own.

    Args:
        operation: Keras model, layer or operation.
    """
    graph = _functional(operation)
    return hasattr(graph, "_nodes_by_depth") and all(
        type(part).call.__module__.startswith("keras.") for part in (operation, graph)
    )


def run_graph(model: Any, inputs: Sequence[Any], call: Call, enter: Enter | None = None, path: str = "") -> list[Any]:
    """Run the graph of a model.

    Args:
        model: Functional or Sequential model.
        inputs: One value per input tensor: tensors, or whatever `call` takes in their place.
        call: Called with every node and its arguments, in which values replace symbolic tensors; returns the values of
            the node's outputs. Nested models are entered, not called.
        enter: Called with every nested model, its path and one value per input tensor.
        path: Names of the models around it, each with a slash behind it.

    Returns:
        One value per output tensor.
    """
    import keras

    graph = _functional(model)
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input or any(id(tensor) not in values for tensor in node.input_tensors):
                continue
            args, kwargs = node.arguments.fill_in(values)
            operation, name = node.operation, path + node.operation.name
            if is_graph(operation):
                nested = keras.tree.flatten(args[0] if args else kwargs.get("inputs"))
                if enter is not None:
                    enter(operation, name, nested)
                outputs = run_graph(operation, nested, call, enter, f"{name}/")
            else:
                shapes = ([tuple(tensor.shape) for tensor in side] for side in (node.input_tensors, node.outputs))
                outputs = call(Node(operation, name, *map(tuple, shapes)), args, kwargs)
            flat = keras.tree.flatten(outputs)
            values.update((id(tensor), value) for tensor, value in zip(node.outputs, flat, strict=True))
    return [values[id(tensor)] for tensor in graph.outputs]


def _functional(model: Any) -> Any:
    """The functional graph of a model; a Sequential has one inside."""
    return getattr(model, "_functional", None) or model
