"""Conversions to ONNX of TensorFlow operators that tf2onnx does not know, or fails on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def custom_handlers() -> dict[str, tuple[Callable[..., None], list[str]]]:
    """Return the handlers by TensorFlow operator, as tf2onnx's `custom_op_handlers` takes them."""
    return {"Erfc": (_erfc, []), "Expm1": (_expm1, []), "Log1p": (_log1p, [])}


def custom_rewriters() -> list[Callable[..., Any]]:
    """Return changes of the TensorFlow graph before its conversion, as tf2onnx's `custom_rewriter` takes them."""
    return [_expand_added_scalars]


def _expand_added_scalars(graph: Any, nodes: Any) -> Any:
    """Give added scalars the shape (1,).

    tf2onnx takes one behind a convolution for its bias, and fails: it then leaves every transposition in the file.
    """
    from tf2onnx.utils import make_name

    for node in graph.get_nodes():
        addend = node.inputs[1] if node.type in ("Add", "AddV2") else None
        if addend is None or not addend.is_const() or not graph.get_shape(node.output[0]):
            continue
        value = addend.get_tensor_value(as_list=False)
        if value.ndim == 0:
            expanded = graph.make_const(make_name(addend.name), value.reshape(1))
            graph.replace_input(node, node.input[1], expanded.output[0], 1)
    return graph.get_nodes()


def _erfc(graph: Any, node: Any, name: str, arguments: list[str]) -> None:
    """erfc(x) = 1 - erf(x)."""
    erf = graph.make_node("Erf", [node.input[0]], shapes=node.output_shapes, dtypes=node.output_dtypes)
    _replace(graph, node, "Sub", [_one(graph, node), erf.output[0]])


def _expm1(graph: Any, node: Any, name: str, arguments: list[str]) -> None:
    """expm1(x) = exp(x) - 1."""
    exp = graph.make_node("Exp", [node.input[0]], shapes=node.output_shapes, dtypes=node.output_dtypes)
    _replace(graph, node, "Sub", [exp.output[0], _one(graph, node)])


def _log1p(graph: Any, node: Any, name: str, arguments: list[str]) -> None:
    """log1p(x) = log(1 + x)."""
    total = graph.make_node(
        "Add", [node.input[0], _one(graph, node)], shapes=node.output_shapes, dtypes=node.output_dtypes
    )
    _replace(graph, node, "Log", [total.output[0]])


def _one(graph: Any, node: Any) -> str:
    from tf2onnx.utils import make_name, map_onnx_to_numpy_type

    dtype = map_onnx_to_numpy_type(node.output_dtypes[0])
    return str(graph.make_const(make_name(f"{node.name}_one"), np.array(1, dtype)).output[0])


def _replace(graph: Any, node: Any, operator: str, inputs: list[str]) -> None:
    shapes, dtypes = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    graph.make_node(operator, inputs, outputs=node.output, shapes=shapes, dtypes=dtypes, name=node.name)
