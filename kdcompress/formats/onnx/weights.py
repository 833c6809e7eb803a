"""Trained weights among the constants of an ONNX graph, and the nodes that they belong to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Nodes that pass a weight on to the node that computes with it
_PASS_THROUGH = frozenset(
    ["DequantizeLinear", "QuantizeLinear", "Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze"]
)
# Input positions of weights in quantized operators; their other constants are scales and zero points
_QUANTIZED = {
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "QLinearAdd": (0, 3),
    "QLinearMul": (0, 3),
    "ConvInteger": (1,),
    "MatMulInteger": (0, 1),
    "QGemm": (3, 6),
    "DynamicQuantizeMatMul": (1, 4),
    "MatMulIntegerToFloat": (1, 6),
    "MatMulNBits": (1,),
}
# Nodes whose float constants are parameters, not weights
_SETTINGS = frozenset({"Clip", "Pad", "Resize", "Upsample", "OneHot", "Range", "Dropout", "NonMaxSuppression"})
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "QLinearAdd", "QLinearMul")
_PIXEL_ARITHMETIC = frozenset((*_ARITHMETIC, "Cast", "Identity", "Transpose", "QuantizeLinear", "DequantizeLinear"))


@dataclass(frozen=True)
class Weight:
    """A trained constant.

    Attributes:
        name: Name of the tensor.
        params: Number of elements.
        bytes: Bytes as stored.
    """

    name: str
    params: int
    bytes: int


def weights_by_node(graph: Any, image: str) -> Iterator[tuple[Any, list[Weight]]]:
    """Assign trained weights to the nodes that use them first.

    Trained weights are non-scalar constants that are float, or that reach a node dequantized or as the weight of a
    quantized operator. Scalars, shapes, scales, zero points and constants that scale raw pixels are not.

    Args:
        graph: GraphProto.
        image: Name of the image input.

    Yields:
        Each node that is not preprocessing with its weights; a weight is listed once, even if several nodes use it.
    """
    constants = _constants(graph)
    producers = {output: node for node in graph.node for output in node.output}
    pixels, seen = {image}, set[str]()
    for node in graph.node:
        if _is_preprocessing(node, pixels, constants):
            pixels |= set(node.output)
            continue
        weights = []
        for position, name in enumerate(node.input):
            source = _source(name, producers, constants)
            if not source or source in seen:
                continue
            if _is_trained(node, position, constants[source], name != source, producers):
                seen.add(source)
                weights.append(_weight(source, constants[source], node))
        yield node, weights


def _constants(graph: Any) -> dict[str, Any]:
    """Collect initializers and the tensors of Constant nodes, whose scalar and integer forms are not weights."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                constants[node.output[0]] = attribute.t
    return constants


def _is_preprocessing(node: Any, pixels: set[str], constants: dict[str, Any]) -> bool:
    inputs = [name for name in node.input if name and name not in constants]
    return node.op_type in _PIXEL_ARITHMETIC and bool(inputs) and set(inputs) <= pixels


def _source(name: str, producers: dict[str, Any], constants: dict[str, Any]) -> str | None:
    """Find the constant that reaches `name` through pass-through nodes."""
    while name not in constants:
        node = producers.get(name)
        if node is None or node.op_type not in _PASS_THROUGH:
            return None
        name = node.input[0]
    return name


def _is_trained(node: Any, position: int, tensor: Any, passed_on: bool, producers: dict[str, Any]) -> bool:
    import onnx

    if node.op_type in _PASS_THROUGH or node.op_type in _SETTINGS or not tensor.dims:
        return False
    if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
        return position in _QUANTIZED.get(node.op_type, ())
    inputs = (producers.get(name) for name in node.input)
    if any(producer is not None and producer.op_type == "DynamicQuantizeLinear" for producer in inputs):
        return False  # the scale of a weight, multiplied by that of the activations
    producer = producers.get(node.input[position])
    if passed_on and producer is not None and producer.op_type == "DequantizeLinear":
        return True
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
    return tensor.data_type in floats


def _weight(name: str, tensor: Any, node: Any) -> Weight:
    import onnx

    params = math.prod(tensor.dims)
    if node.op_type == "MatMulNBits":  # bytes that hold several weights each, and the padding of blocks
        sizes = {attribute.name: attribute.i for attribute in node.attribute}
        return Weight(name, sizes["K"] * sizes["N"], params)
    packed = tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
    bits = 4 if packed else 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return Weight(name, params, math.ceil(params * bits / 8))
