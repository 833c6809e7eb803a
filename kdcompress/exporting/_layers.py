"""Layers of an int8 file: which operators belong to each, and which of them stay in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.errors import ExportError
from kdcompress.exporting._network import Network
from kdcompress.registry import did_you_mean

_ACTIVATIONS = ("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU")
_MAX_NAMES = 40  # layers that a message lists


@dataclass(frozen=True)
class Operator:
    """An operator of a file.

    Attributes:
        name: What the quantizer calls it, unique in the file.
        paths: Names in which that of its layer is looked for, in this order; several may be joined by semicolons.
        inputs: Names of the tensors that it reads.
        outputs: Names of the tensors that it writes.
        passes: Whether it only moves, selects or clips values, so that it is quantized as the operator before it.
    """

    name: str
    paths: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    passes: bool


def group_by_layer(operators: Iterable[Operator], network: Network) -> dict[str, list[str]]:
    """Assign operators to layers; one that computes nothing, or of no known layer, to that of its first known input.

    Args:
        operators: Operators in an order in which each follows those that it reads.
        network: The network that they compute.

    Returns:
        Names of operators by layer, in the order of the file.
    """
    owner, kernels = owner_of(network), _layers_with_kernels(network)
    groups, of_tensor = dict[str, list[str]](), dict[str, str]()
    for operator in operators:
        known = None
        for path in operator.paths:
            names = [network.layer_name(part.split(":")[0]) for part in path.split(";")]
            owners = [owner(name) for name in names if name in network.layers]
            # The name of a fused operator lists all its nodes, also of a normalization ahead of it
            known = known or next((name for name in owners if name in kernels), owners[0] if owners else None)
        before = next((of_tensor[name] for name in operator.inputs if name in of_tensor), None)
        layer = before or known if operator.passes else known or before
        if layer is None or (operator.passes and layer not in groups):
            continue
        of_tensor.update(dict.fromkeys(operator.outputs, layer))
        groups.setdefault(layer, []).append(operator.name)
    return groups


def owner_of(network: Network) -> Callable[[str], str]:
    """Return a function from the name of a layer to that of the layer with which converters compute it.

    Activations behind a layer with a kernel are computed with it, and so is batch normalization ahead of these.

    Args:
        network: The network.
    """
    owners: dict[str, str] = {}
    for layer in _flatten(network.model):
        parent = _parent(layer)
        if type(layer).__name__ == "BatchNormalization":
            if _has_kernel(parent) and getattr(parent.activation, "__name__", None) == "linear":
                owners[layer.name] = parent.name
        elif type(layer).__name__ in _ACTIVATIONS and (_has_kernel(parent) or getattr(parent, "name", None) in owners):
            owners[layer.name] = owners.get(parent.name, parent.name)
    return lambda name: owners.get(name, name)


def select_layers(names: Iterable[str], layers: Sequence[str], network: Network) -> frozenset[str]:
    """Find the layers to leave in float.

    Args:
        names: Names as the user gives them; that of a batch normalization or activation stands for its convolution.
        layers: Layers of the int8 file.
        network: The network.

    Returns:
        Names among `layers`.

    Raises:
        ExportError: The file has no such layer; the message lists those that it has.
    """
    owner, selected = owner_of(network), set[str]()
    for name in names:
        if owner(name) not in layers:
            more = f" and {len(layers) - _MAX_NAMES} more" if len(layers) > _MAX_NAMES else ""
            kind = "is computed with others" if name in network.layers else "is unknown"
            raise ExportError(
                f"--float: layer {name!r} {kind}{did_you_mean(name, layers)}; layers of the int8 file: "
                f"{', '.join(layers[:_MAX_NAMES])}{more}"
            )
        selected.add(owner(name))
    return frozenset(selected)


def _layers_with_kernels(network: Network) -> set[str]:
    return {layer.name for layer in _flatten(network.model) if _has_kernel(layer)}


def _has_kernel(layer: Any) -> bool:
    return hasattr(layer, "kernel") or hasattr(layer, "depthwise_kernel")


def _flatten(model: Any) -> Iterable[Any]:
    for layer in getattr(model, "layers", []):
        yield layer
        yield from _flatten(layer)


def _parent(layer: Any) -> Any:
    """Return the layer whose output a layer takes, or None if there is not exactly one."""
    nodes = getattr(layer, "_inbound_nodes", [])
    parents = nodes[-1].parent_nodes if nodes else []
    return parents[0].operation if len(parents) == 1 else None
