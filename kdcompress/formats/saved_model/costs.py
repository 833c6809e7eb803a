"""Cost of a SavedModel: its serving signature, frozen on one image and profiled like a Keras model."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.frozen import freeze_signature
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.formats.saved_model.preprocessing import preprocessing_operations
from kdcompress.models import resolve_image_shape
from kdcompress.teachers import Selection
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape
from kdcompress.verification.costs._statistics import MAC_OPS, operation_flops, uncounted_type

_OTHER = "(other)"


def cost_of_saved_model(path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
    """Count the cost of a SavedModel's serving signature on one image.

    Parameters are the variables that the signature uses; MACs are half the FLOPs of convolutions and matrix products;
    preprocessing is arithmetic between the raw pixels and constants. Layers are name scopes.

    Args:
        path: Folder of the SavedModel.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        selection: The part of the file that counts.

    Returns:
        The cost.

    Raises:
        ModelError: The model cannot be loaded, or does not take one batch of images of this shape.
    """
    label = f"SavedModel {path}"
    signature, name, spec = _signature(path, label, selection)
    shape = resolve_image_shape(_sizes(spec, label), input_shape, label)
    try:
        graph = freeze_signature(signature, name, (1, *shape), spec.dtype, selection)
    except Exception as exc:
        raise ModelError(f"{label} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc
    pixels = preprocessing_operations(_topological_order(graph))
    counts = operation_flops(graph)
    network = {name: count for name, count in counts.items() if name not in pixels}
    layers = _layers(graph, network)
    trainable: int | None = _params(signature.trainable_variables)
    weights = [variable for variable in signature.variables if _is_weight(variable)]
    params, weight_bytes = _params(weights), _bytes(weights)
    if len(signature.structured_outputs) > 1 and selection.output is not None:
        trainable, (params, weight_bytes) = None, _read_variables(graph)
    return Cost(
        params=params,
        trainable=trainable,
        non_trainable=None if trainable is None else params - trainable,
        macs=sum(layer.macs for layer in layers),
        flops=sum(network.values()),
        preprocessing_flops=sum(counts.values()) - sum(network.values()),
        weight_bytes=weight_bytes,
        input_shape=shape,
        layers=(*layers, *_unread_variables(params, layers)),
        warnings=(*_constants_warning(graph, params), *_uncounted_warnings(graph, pixels)),
    )


def _signature(path: Path, label: str, selection: Selection) -> tuple[Any, str, Any]:
    """Open the serving signature, and return it with the name and spec of its input for images."""
    signature = open_signature(path)
    inputs = {
        name: spec for name, spec in signature.structured_input_signature[1].items() if name not in selection.constants
    }
    if len(inputs) != 1:
        raise ModelError(f"{label} must serve one input, a batch of images, got {', '.join(sorted(inputs)) or 'none'}")
    return signature, *next(iter(inputs.items()))


def _sizes(spec: Any, label: str) -> list[int | None] | None:
    if spec.shape.rank is None:
        return None
    if spec.shape.rank != 4:
        raise ModelError(f"{label} takes inputs of shape {spec.shape}; costs are counted on batches of images")
    return list(spec.shape.as_list()[1:])


def _layers(graph: Any, network: dict[str, int]) -> list[LayerCost]:
    """Sum the costs by name scope, in network order."""
    params, flops, macs = Counter[str](), Counter[str](), Counter[str]()
    read: set[str] = set()
    for operation in _topological_order(graph):
        scope = _scope(operation.name)
        count = network.get(operation.name, 0)
        if count:
            flops[scope] += count
            macs[scope] += count // 2 if operation.type in MAC_OPS else 0
        stored = _variable(operation)
        if stored is not None and stored.name not in read:
            read.add(stored.name)
            params[scope] += math.prod(stored.outputs[0].shape)
    scopes = dict.fromkeys((*flops, *params))  # reads precede the network, so computation determines the order
    return [LayerCost(scope, "scope", params[scope], macs[scope], flops[scope]) for scope in scopes]


def _topological_order(graph: Any) -> list[Any]:
    """Sort the operations from the image to the result, since the graph lists inlined functions last."""
    ordered, seen = [], set[str]()
    pending = [(op, False) for op in graph.get_operations() if not any(tensor.consumers() for tensor in op.outputs)]
    while pending:
        operation, complete = pending.pop()
        if complete:
            ordered.append(operation)
        elif operation.name not in seen:
            seen.add(operation.name)
            pending.append((operation, True))
            pending += [(tensor.op, False) for tensor in reversed(operation.inputs)]  # the first input first
    return ordered


def _variable(operation: Any) -> Any:
    """Return the constant of a variable, whose read freezing has replaced by an Identity; else None."""
    if operation.type != "Identity" or "ReadVariableOp" not in operation.name or not operation.outputs[0].consumers():
        return None  # what nobody consumes is of an output that is not selected
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    return operation if operation.type == "Const" else None


def _scope(name: str) -> str:
    """Return the layer scope of an operation's name, without function calls and the operation itself."""
    steps = name.split("/")
    steps = steps[:-2] if steps[-1].startswith("ReadVariableOp") else steps[:-1]
    calls = ("StatefulPartitionedCall", "PartitionedCall", "Func", "batchnorm")
    return "/".join(step for step in steps if not step.startswith(calls)) or _OTHER


def _unread_variables(params: int, layers: list[LayerCost]) -> list[LayerCost]:
    unread = params - sum(layer.params for layer in layers)
    return [LayerCost("(unread)", "variables", unread, 0, 0)] if unread else []


def _constants_warning(graph: Any, params: int) -> list[str]:
    if params:
        return []
    stored = sum(math.prod(op.outputs[0].shape) for op in graph.get_operations() if op.type == "Const")
    return [f"the weights are constants, not variables: params are given as 0; the graph stores {stored:,} numbers"]


def _uncounted_warnings(graph: Any, pixels: set[str]) -> list[str]:
    by_kind: dict[str, set[str]] = {}
    for operation in graph.get_operations():
        kind = None if operation.name in pixels else uncounted_type(operation)
        if kind:
            by_kind.setdefault(kind, set()).add(_scope(operation.name))
    return [f"not counted: {kind} in {', '.join(sorted(scopes)[:5])}" for kind, scopes in by_kind.items()]


def _read_variables(graph: Any) -> tuple[int, int]:
    """Count the parameters and bytes of the variables that a frozen graph reads."""
    stored = {one.name: one.outputs[0] for op in graph.get_operations() if (one := _variable(op)) is not None}
    return _params(stored.values()), _bytes(stored.values())


def _is_weight(variable: Any) -> bool:
    """Return whether a variable is of floats or quantized; seeds of random layers and counters are of long integers."""
    return bool(variable.dtype.is_floating or variable.dtype.size == 1)


def _bytes(variables: Any) -> int:
    return sum(math.prod(variable.shape) * variable.dtype.size for variable in variables)


def _params(variables: Any) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


class SavedModelCosts(FileCosts):
    """Counts the cost of SavedModel folders."""

    kind = "a SavedModel folder"

    def owns(self, path: Path) -> bool:
        """Return whether a folder contains saved_model.pb."""
        return (path / "saved_model.pb").is_file()

    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Count the cost with `cost_of_saved_model`."""
        return cost_of_saved_model(path, input_shape, selection)


COSTS = SavedModelCosts
