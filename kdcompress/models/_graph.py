"""The layers of a Keras model in their order, its head, and the embedding that the head reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.registry import did_you_mean

# Layers before a head that do nothing at inference; an embedding is what goes into them
_NOISE = ("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise")


@dataclass(frozen=True)
class Embedding:
    """The embedding of a Keras model: what its head reads, or the output of a named layer.

    Attributes:
        tensor: The symbolic tensor (batch, width), or feature maps (batch, H, W, width).
        layer: Name of the layer that computes it.
        head: The layer that reads it; None for a named layer.
    """

    tensor: Any
    layer: str
    head: Any = None


def graph_of(model: Any) -> Any:
    """Return the functional graph of a model; a Sequential has one inside.

    Args:
        model: The Keras model.
    """
    return getattr(model, "_functional", None) or model


def layers_of(model: Any) -> list[Any]:
    """List the layers of a model from input to output, without input layers.

    Args:
        model: The Keras model.

    Raises:
        ModelError: It is a subclassed model, whose layers have no order.
    """
    if not getattr(model, "inputs", None):
        raise ModelError(
            f"{type(model).__name__} is a subclassed model, whose layers have no order; "
            "train it in stages of trainable = 'all', or give a functional or Sequential one"
        )
    return [layer for layer in graph_of(model).layers if type(layer).__name__ != "InputLayer"]


def head_index(model: Any) -> int:
    """Find the head of a model: its last layer with weights.

    Args:
        model: The Keras model.

    Returns:
        Its index in `layers_of`.

    Raises:
        ModelError: The order of the layers is unknown, or all weights are in a model inside this one.
    """
    layers = layers_of(model)
    indices = [index for index, layer in enumerate(layers) if layer.weights]
    if len(indices) == 1 and hasattr(layers[indices[0]], "layers"):
        raise ModelError(
            f"all weights of {model.name} are in the model {layers[indices[0]].name} inside it, so "
            "its head cannot be told from the rest; give the layers without a model around them"
        )
    return indices[-1] if indices else 0


def find_embedding(model: Any, layer: str | None = None) -> Embedding:
    """Find the embedding of a model.

    Args:
        model: Functional or Sequential Keras model.
        layer: Name of the layer whose output it is; None for what the head reads.

    Raises:
        ModelError: There is no such layer, or the head is not a layer that reads an embedding.
    """
    if not getattr(model, "inputs", None):
        raise ModelError(
            f"{type(model).__name__} is a subclassed model, whose layers have no order, so its embedding cannot be "
            "found; give a functional or Sequential one"
        )
    layers = layers_of(model)
    if layer is not None:
        names = [one.name for one in layers]
        if layer not in names:
            raise ModelError(
                f"model {model.name} has no layer {layer!r}{did_you_mean(layer, names)}; its layers are "
                f"{names[0]} to {names[-1]}"
            )
        return Embedding(_node_of(model, layers[names.index(layer)]).outputs[0], layer)
    head = layers[head_index(model)]
    if len(getattr(getattr(head, "kernel", None), "shape", ())) != 2:
        raise ModelError(
            f"the last layer with weights of {model.name}, {head.name}, is a {type(head).__name__}: an embedding is "
            "what a Dense layer reads"
        )
    tensor = _node_of(model, head).input_tensors[0]
    while type(operation := tensor._keras_history.operation).__name__ in _NOISE:
        tensor = _node_of(model, operation).input_tensors[0]
    return Embedding(tensor, operation.name, head)


def _node_of(model: Any, layer: Any) -> Any:
    """The first call of a layer in the graph of a model."""
    nodes = [node for nodes in graph_of(model)._nodes_by_depth.values() for node in nodes]
    return next(node for node in nodes if node.operation is layer)
