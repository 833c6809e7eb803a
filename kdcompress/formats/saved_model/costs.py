"""The cost of a SavedModel folder: its serving signature, frozen on one image, through the same profiler."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.models import resolve_image_shape
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape
from kdcompress.verification.costs._statistics import MAC_OPS, operation_flops, uncounted_type

_OTHER = "(other)"
_PIXEL_ARITHMETIC = frozenset(
    ["Identity", "Cast", "Add", "AddV2", "Sub", "Mul", "RealDiv", "ResizeBilinear", "ResizeNearestNeighbor"]
)


def cost_of_saved_model(path: Path, input_shape: Shape | None) -> Cost:
    """The cost of a SavedModel's serving signature on one image (H, W, C).

    Params are the variables that the signature uses. MACs are half the FLOPs of convolutions and matrix products.
    Preprocessing is arithmetic between the raw pixels and constants. Rows follow name scopes. Errors: ModelError.
    """
    what = f"SavedModel {path}"
    signature, name, spec = _signature(path, what)
    shape = resolve_image_shape(_sizes(spec, what), input_shape, what)
    try:
        graph = _freeze(signature, name, (1, *shape), spec.dtype)
    except Exception as exc:
        raise ModelError(f"{what} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc
    pixels = _preprocessing(graph)
    counts = operation_flops(graph)
    network = {name: count for name, count in counts.items() if name not in pixels}
    layers = _layers(graph, network)
    trainable = _params(signature.trainable_variables)
    params = _params(signature.variables)
    return Cost(
        params=params,
        trainable=trainable,
        non_trainable=params - trainable,
        macs=sum(layer.macs for layer in layers),
        flops=sum(network.values()),
        preprocessing_flops=sum(counts.values()) - sum(network.values()),
        weight_bytes=sum(math.prod(v.shape) * v.dtype.size for v in signature.variables),
        input_shape=shape,
        layers=(*layers, *_rest(params, layers)),
        warnings=(*_constants(graph, params), *_not_counted(graph, pixels)),
    )


def _signature(path: Path, what: str) -> tuple[Any, str, Any]:
    """The serving signature, the name of its one input, and its spec."""
    signature = open_signature(path)
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise ModelError(f"{what} must serve one input, a batch of images, got {', '.join(sorted(inputs)) or 'none'}")
    return signature, *next(iter(inputs.items()))


def _sizes(spec: Any, what: str) -> list[int | None] | None:
    if spec.shape.rank is None:
        return None
    if spec.shape.rank != 4:
        raise ModelError(f"{what} takes inputs of shape {spec.shape}; costs are counted on batches of images")
    return list(spec.shape.as_list()[1:])


def _freeze(signature: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """The signature as one graph without functions, its variables as constants."""
    import tensorflow as tf
    from tensorflow.python.eager.wrap_function import function_from_graph_def
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    function = tf.function(lambda image: signature(**{name: image}), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, dtype))
    # A loop stays one operation, which is then reported, instead of falling apart into a dozen.
    _, frozen = convert_variables_to_constants_v2_as_graph(concrete, lower_control_flow=False)
    if _free_of_xla(frozen):
        ends = [tensor.name for tensor in (*concrete.inputs[:1], *concrete.outputs)]
        inlined = function_from_graph_def(frozen, ends[:1], ends[1:])
        _, frozen = convert_variables_to_constants_v2_as_graph(inlined, lower_control_flow=False)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
    return graph


def _free_of_xla(frozen: Any) -> bool:
    """Let functions kept for XLA be inlined: Keras hides grouped convolutions in one. True if there were any.

    They get names of their own, since TensorFlow already knows the functions under the old ones.
    """
    functions = frozen.library.function
    nodes = [*frozen.node, *(node for function in functions for node in function.node_def)]
    marked = [part for part in (*functions, *nodes) if part.attr.pop("_XlaMustCompile", None)]
    for function in functions:
        function.attr.pop("_noinline", None)
        function.signature.name += "_inlined"
    for attribute in (attribute for node in nodes for attribute in node.attr.values()):
        if attribute.func.name:
            attribute.func.name += "_inlined"
    return bool(marked)


def _preprocessing(graph: Any) -> set[str]:
    """Names of the operations between the image and constants alone."""
    found: set[str] = set()
    for operation in graph.get_operations():
        makers = [tensor.op for tensor in operation.inputs if not _constant(tensor)]
        if operation.type == "Placeholder" or (
            operation.type in _PIXEL_ARITHMETIC and makers and all(maker.name in found for maker in makers)
        ):
            found.add(operation.name)
    return found


def _constant(tensor: Any) -> bool:
    """Whether a tensor was constant before the freezing: variables come through the Identity that was their read."""
    operation = tensor.op.inputs[0].op if tensor.op.type == "Cast" else tensor.op
    return str(operation.type) == "Const"


def _layers(graph: Any, network: dict[str, int]) -> list[LayerCost]:
    """One row per name scope, in the order of the network."""
    params, flops, macs = Counter[str](), Counter[str](), Counter[str]()
    read: set[str] = set()
    for operation in _ordered(graph):
        scope = _scope(operation.name)
        count = network.get(operation.name, 0)
        if count:
            flops[scope] += count
            macs[scope] += count // 2 if operation.type in MAC_OPS else 0
        stored = _variable(operation)
        if stored is not None and stored.name not in read:
            read.add(stored.name)
            params[scope] += math.prod(stored.outputs[0].shape)
    scopes = dict.fromkeys((*flops, *params))  # reads stand before the network, so what computes gives the order
    return [LayerCost(scope, "scope", params[scope], macs[scope], flops[scope]) for scope in scopes]


def _ordered(graph: Any) -> list[Any]:
    """The network's operations from the image to the result; the graph has inlined functions last."""
    ordered, seen = [], set[str]()
    pending = [(op, False) for op in graph.get_operations() if not any(tensor.consumers() for tensor in op.outputs)]
    while pending:
        operation, complete = pending.pop()
        if complete:
            ordered.append(operation)
        elif operation.name not in seen:
            seen.add(operation.name)
            pending.append((operation, True))
            pending += [(tensor.op, False) for tensor in reversed(operation.inputs)]  # the image's way first
    return ordered


def _variable(operation: Any) -> Any:
    """The constant behind a variable's read, which the freezing made an Identity, or None."""
    if operation.type != "Identity" or "ReadVariableOp" not in operation.name:
        return None
    while operation.type == "Identity":
        operation = operation.inputs[0].op
    return operation if operation.type == "Const" else None


def _scope(name: str) -> str:
    """The layers' part of an operation's name: without the calls of functions and the operation itself."""
    steps = name.split("/")
    steps = steps[:-2] if steps[-1].startswith("ReadVariableOp") else steps[:-1]
    calls = ("StatefulPartitionedCall", "PartitionedCall", "Func", "batchnorm")
    return "/".join(step for step in steps if not step.startswith(calls)) or _OTHER


def _rest(params: int, layers: list[LayerCost]) -> list[LayerCost]:
    unread = params - sum(layer.params for layer in layers)
    return [LayerCost("(unread)", "variables", unread, 0, 0)] if unread else []


def _constants(graph: Any, params: int) -> list[str]:
    if params:
        return []
    stored = sum(math.prod(op.outputs[0].shape) for op in graph.get_operations() if op.type == "Const")
    return [f"the weights are constants, not variables: params are given as 0; the graph stores {stored:,} numbers"]


def _not_counted(graph: Any, pixels: set[str]) -> list[str]:
    where: dict[str, set[str]] = {}
    for operation in graph.get_operations():
        kind = None if operation.name in pixels else uncounted_type(operation)
        if kind:
            where.setdefault(kind, set()).add(_scope(operation.name))
    return [f"not counted: {kind} in {', '.join(sorted(scopes)[:5])}" for kind, scopes in where.items()]


def _params(variables: Any) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


class SavedModelCosts(FileCosts):
    """SavedModel folders."""

    kind = "a SavedModel folder"

    def owns(self, path: Path) -> bool:
        """Whether a folder holds a SavedModel's graph."""
        return (path / "saved_model.pb").is_file()

    def count(self, path: Path, input_shape: Shape | None) -> Cost:
        """See `cost_of_saved_model`."""
        return cost_of_saved_model(path, input_shape)


COSTS = SavedModelCosts
