"""Making an ONNX graph's bytes depend on what it computes alone: order, names, and nothing that is not used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kdcompress.exporting._network import INPUT, OUTPUT


def tidy(model: Any, layer_name: Callable[[str], str]) -> Any:
    """A copy of an ONNX model with nodes in the order of a walk from the output, and names counted in that order.

    Converters number their names through the life of a process, so that the same network gets other bytes each time.
    A graph with graphs inside (loops, conditions) keeps its names, since inner ones refer to outer ones.
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
    kept = [entry for entry in tidied.opset_import if entry.domain in used or not entry.domain]
    del tidied.opset_import[:]
    tidied.opset_import.extend(kept)
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    if not any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        _reorder(graph)
        _rename(graph, layer_name)
    return tidied


def _reorder(graph: Any) -> None:
    """Nodes as met on a depth-first walk from the output, each after what it needs; weights as first used."""
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
    """Name nodes and values by layer and operator, numbered where that is taken already."""
    taken: dict[str, int] = {INPUT: 1, OUTPUT: 1}
    names = {INPUT: INPUT, OUTPUT: OUTPUT, "": ""}

    def fresh(old: str, kind: str) -> str:
        wanted = f"{re.sub(r'(__|:)[0-9]+', '', layer_name(old).split('/')[-1])}/{kind}"
        taken[wanted] = taken.get(wanted, 0) + 1
        return wanted if taken[wanted] == 1 else f"{wanted}_{taken[wanted]}"

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
