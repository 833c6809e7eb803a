"""Copies of layers, with their weights, for rebuilt graphs."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from kdcompress.quantization._graph import Node


def copy_layer(layer: Any, weights: list[NDArray[Any]] | None = None, **changes: Any) -> Any:
    """Make a layer from the configuration of another.

    Args:
        layer: The layer.
        weights: Weights of the copy; those of the layer by default, once it is built.
        **changes: Changed keys of the configuration.

    Returns:
        The copy, which is called before its weights are set: see `call_copy`.
    """
    made = type(layer).from_config({**layer.get_config(), **changes})
    made._initial = layer.get_weights() if weights is None else weights
    return made


def call_copy(made: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a copied layer and set its weights.

    Args:
        made: Result of `copy_layer`.
        *args: Arguments of the call.
        **kwargs: Keyword arguments of the call.

    Returns:
        The outputs.
    """
    outputs = made(*args, **kwargs)
    if (weights := made.__dict__.pop("_initial", None)) is not None:
        made.set_weights(weights)
        _restore(made)
    return outputs


def call_copied(node: Node, args: Any, kwargs: Any, copies: dict[int, Any]) -> Any:
    """Call a copy of a node's layer, the same one at each call of the layer.

    Args:
        node: The node.
        args: Arguments of the call.
        kwargs: Keyword arguments of the call.
        copies: Copies by the id of their layer, which is filled.

    Returns:
        The outputs; of an input layer its tensor.
    """
    if node.kind == "InputLayer":
        return args[0]
    layer = node.operation
    if not hasattr(layer, "get_weights"):
        return layer(*args, **kwargs)
    if id(layer) not in copies:
        copies[id(layer)] = copy_layer(layer)
    return call_copy(copies[id(layer)], *args, **kwargs)


def _restore(layer: Any) -> None:
    """Let a Normalization compute with the statistics that its weights now are."""
    if hasattr(layer, "finalize_state") and layer.weights:
        layer.finalize_state()
