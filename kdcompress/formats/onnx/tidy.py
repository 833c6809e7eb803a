"""Canonical form of ONNX graphs, so that equal networks give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kdcompress.exporting._network import INPUT, OUTPUT


def tidy(model: Any, layer_name: Callable[[str], str]) -> Any:
    """Copy an ONNX model with nodes, weights and names in canonical order.

    Converters number names over the life of a process, so that the same network gets different bytes each time. A model
    with subgraphs (loops, conditions) keeps its names, since subgraphs refer to outer names.

    Args:
        model: ModelProto.
        layer_name: Returns the layer in the name of a node.

    Returns:
        The copy.
    """
    import onnx

    tidied = onnx.ModelProto()
    tidied.CopyFrom(model)
    graph = tidied.graph
    del graph.value_info[:]
    graph.name = "kdcompress"
    tidied.doc_string = graph.doc_string = ""
    tidied.producer_name, tidied.producer_version = "kdcompress", ""
    used = {node.domain for node in graph.node}
    opsets = [entry for entry in tidied.opset_import if entry.domain in used or not entry.domain]
    del tidied.opset_import[:]
    tidied.opset_import.extend(opsets)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if not any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        _reorder(graph)
        _rename(graph, layer_name)
    return tidied


def _reorder(graph: Any) -> None:
    """Sort nodes topologically by a depth-first search from the output, and weights by their first use."""
    producers = {name: index for index, node in enumerate(graph.node) for name in node.output}
    order: dict[int, None] = {}
    stack = [(producers[value.name], False) for value in reversed(graph.output)]
    while stack:
        index, ready = stack.pop()
        if index in order:
            continue
        if ready:
            order[index] = None
            continue
        stack.append((index, True))
        inputs = reversed([name for name in graph.node[index].input if name in producers])
        stack += [(producers[name], False) for name in inputs if producers[name] not in order]
    nodes = [graph.node[index] for index in order]
    weights = {weight.name: weight for weight in graph.initializer}
    used = dict.fromkeys(name for node in nodes for name in node.input if name in weights)
    ordered = [_copy(node) for node in nodes], [_copy(weights[name]) for name in used]
    for field, items in zip((graph.node, graph.initializer), ordered, strict=True):
        del field[:]
        field.extend(items)


def _copy(message: Any) -> Any:
    copied = type(message)()
    copied.CopyFrom(message)
    return copied


def _rename(graph: Any, layer_name: Callable[[str], str]) -> None:
    """Name nodes and values by layer and operator, with a number if the name is already in use."""
    counts: dict[str, int] = {INPUT: 1, OUTPUT: 1}
    names = {INPUT: INPUT, OUTPUT: OUTPUT, "": ""}

    def fresh(old: str, kind: str) -> str:
        name = f"{re.sub(r'(__|:)[0-9]+', '', layer_name(old).split('/')[-1])}/{kind}"
        counts[name] = counts.get(name, 0) + 1
        return name if counts[name] == 1 else f"{name}_{counts[name]}"

    weights = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        node.name = fresh(node.name, node.op_type)
        for old in node.input:
            if old not in names:
                names[old] = weights[old].name = fresh(old, "weight")
        for old in node.output:
            if old not in names:
                names[old] = node.name if len(node.output) == 1 else fresh(old, "out")
        node.input[:], node.output[:] = ([names[old] for old in side] for side in (node.input, node.output))
