"""The part of an ONNX graph that one output needs, with constants for its other inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.teachers import Selection

_MAX_CONSTANT = 1 << 24  # numbers of one constant input
_INITIALIZERS_ALONE = 4  # the first version of the format whose initializers need not be inputs, too


def select_part(model: Any, selection: Selection, name: str) -> None:
    """Reduce a model, in place, to what computes the selected output from the image.

    Args:
        model: ModelProto; its constant inputs become initializers, and nodes and initializers of other outputs go.
        selection: Names of the image and the output, and the values of the other inputs.
        name: Name of the model in errors.

    Raises:
        ModelError: There is no such output or input, or a constant is too large.
    """
    graph = model.graph
    if selection.constants:
        model.ir_version = max(model.ir_version, _INITIALIZERS_ALONE)
    for key, value in selection.constants.items():
        _make_constant(graph, key, value, name)
    if selection.output is None:
        return
    outputs = {value.name: value for value in graph.output}
    if selection.output not in outputs:
        raise ModelError(f"{name} has no output {selection.output!r}; it has {', '.join(outputs)}")
    needed = _needed(graph, selection.output)
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    used = {tensor for node in nodes for tensor in _inputs(node)}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in used]
    inputs = [value for value in graph.input if value.name in used | {selection.image}]
    for field, values in (("node", nodes), ("initializer", kept), ("sparse_initializer", sparse), ("input", inputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    chosen = outputs[selection.output]
    graph.ClearField("output")
    graph.output.extend([chosen])


def _make_constant(graph: Any, key: str, value: float, name: str) -> None:
    from onnx import helper, numpy_helper

    place = next((index for index, one in enumerate(graph.input) if one.name == key), None)
    if place is None:
        raise ModelError(f"{name} has no input {key!r}")
    tensor = graph.input[place].type.tensor_type
    shape = [dim.dim_value or 1 for dim in tensor.shape.dim]
    if math.prod(shape) > _MAX_CONSTANT:
        raise ModelError(f"{name}: its input {key} of {'x'.join(map(str, shape))} is too large for a constant")
    array = np.full(shape, value, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    del graph.input[place]
    graph.initializer.append(numpy_helper.from_array(array, key))


def _needed(graph: Any, output: str) -> set[str]:
    """Return the names of the tensors that an output is computed from, and its own."""
    producers = {tensor: node for node in graph.node for tensor in node.output if tensor}
    needed, waiting = {output}, [output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None:
            sources = _inputs(node) - needed
            needed |= sources
            waiting += sources
    return needed


def _inputs(node: Any) -> set[str]:
    """Return the names of a node's inputs, also of those that its bodies take from outside."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            names |= {name for inner in graph.node for name in _inputs(inner)}
    return names
