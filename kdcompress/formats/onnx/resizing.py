"""Sizes in place of scales for Resize nodes whose output ONNX would otherwise infer one pixel too small."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def set_sizes(model: Any) -> None:
    """Replace the scales of Resize nodes from which rounding gives another size than TensorFlow's, in place.

    ONNX takes floor(size * scale) of float32 scales: 20 * 0.65 becomes 12, and a file whose batch is fixed no longer
    opens.

    Args:
        model: ModelProto with an open batch.
    """
    import onnx

    pending = [node.output[0] for node in model.graph.node if node.op_type == "Resize"]
    for name in pending:  # each with the shapes that those before it have now
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        values = (*inferred.value_info, *inferred.input)
        shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
        index = next(index for index, node in enumerate(model.graph.node) if name in node.output)
        for position, added in enumerate(_size_nodes(model.graph, model.graph.node[index], shapes)):
            model.graph.node.insert(index + position, added)


def _size_nodes(graph: Any, node: Any, shapes: dict[str, list[int]]) -> list[Any]:
    """Make a node take its sizes, if its scales are inexact, from new nodes: those of its input, and constants."""
    import onnx

    constants = {tensor.name: tensor for tensor in graph.initializer}
    if len(node.input) != 3 or node.input[2] not in constants:
        return []
    scales = [float(scale) for scale in onnx.numpy_helper.to_array(constants[node.input[2]])]
    sizes = shapes.get(node.input[0], [])
    first = next((axis for axis, scale in enumerate(scales) if scale != 1), len(scales))
    if len(sizes) != len(scales) or not all(sizes[first:]):
        return []
    products = [size * scale for size, scale in zip(sizes[first:], scales[first:], strict=True)]
    resized = [round(product) for product in products]
    if [math.floor(product) for product in products] == resized:
        return []

    def constant(name: str, values: list[int]) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), f"{node.name}/{name}"))
        return f"{node.name}/{name}"

    shape, kept, complete = (f"{node.name}/{name}" for name in ("shape", "kept", "sizes"))
    bounds = [constant("begin", [0]), constant("end", [first])]
    parts = [kept, constant("resized", resized)]
    node.input[2:] = ["", complete]
    return [
        onnx.helper.make_node("Shape", [node.input[0]], [shape], name=shape),
        onnx.helper.make_node("Slice", [shape, *bounds], [kept], name=kept),
        onnx.helper.make_node("Concat", parts, [complete], name=complete, axis=0),
    ]
