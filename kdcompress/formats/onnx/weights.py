"""Which constants of an ONNX graph are trained numbers, and which node they belong to."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Nodes that hand a weight on to the node that computes with it.
_HANDING_ON = frozenset(
    ["DequantizeLinear", "QuantizeLinear", "Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze"]
)
# Where quantized operations take weights; their other constants are scales and zero points.
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
}
# Nodes whose float constants are bounds and factors, not weights.
_SETTINGS = frozenset({"Clip", "Pad", "Resize", "Upsample", "OneHot", "Range", "Dropout", "NonMaxSuppression"})
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "QLinearAdd", "QLinearMul")
_PIXEL_ARITHMETIC = frozenset((*_ARITHMETIC, "Cast", "Identity", "Transpose", "QuantizeLinear", "DequantizeLinear"))


@dataclass(frozen=True)
class Weight:
    """A stored constant that a node computes with."""

    name: str
    params: int
    bytes: int


def weights_by_node(graph: Any, image: str) -> Iterator[tuple[Any, list[Weight]]]:
    """Each node with the weights that it is the first to use; a weight comes once however often it is used.

    Trained are constants with at least one axis that are float, or that reach a node dequantized or as a quantized
    operation's weight. Scalars, shapes, scales, zero points and what scales the raw pixels are not.
    """
    constants = _constants(graph)
    makers = {output: node for node in graph.node for output in node.output}
    pixels, seen = {image}, set[str]()
    for node in graph.node:
        if _scales_pixels(node, pixels, constants):
            pixels |= set(node.output)
            continue
        found = []
        for position, name in enumerate(node.input):
            stored = _stored(name, makers, constants)
            if stored and stored not in seen and _trained(node, position, constants[stored], name != stored, makers):
                seen.add(stored)
                found.append(_weight(stored, constants[stored]))
        yield node, found


def _constants(graph: Any) -> dict[str, Any]:
    """Tensors by name: initializers, and what Constant nodes hold (their scalar and integer forms are no weights)."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                stored[node.output[0]] = attribute.t
    return stored


def _scales_pixels(node: Any, pixels: set[str], constants: dict[str, Any]) -> bool:
    given = [name for name in node.input if name and name not in constants]
    return node.op_type in _PIXEL_ARITHMETIC and bool(given) and set(given) <= pixels


def _stored(name: str, makers: dict[str, Any], constants: dict[str, Any]) -> str | None:
    """The constant that arrives as `name`, through nodes that hand it on."""
    while name not in constants:
        node = makers.get(name)
        if node is None or node.op_type not in _HANDING_ON:
            return None
        name = node.input[0]
    return name


def _trained(node: Any, position: int, tensor: Any, handed_on: bool, makers: dict[str, Any]) -> bool:
    import onnx

    if node.op_type in _HANDING_ON or node.op_type in _SETTINGS or not tensor.dims:
        return False
    if node.op_type in _QUANTIZED or node.op_type.startswith("QLinear"):
        return position in _QUANTIZED.get(node.op_type, ())
    others = (makers.get(name) for name in node.input)
    if any(maker is not None and maker.op_type == "DynamicQuantizeLinear" for maker in others):
        return False  # a weight's scale, multiplied by that of the activations
    maker = makers.get(node.input[position])
    if handed_on and maker is not None and maker.op_type == "DequantizeLinear":
        return True
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE)
    return tensor.data_type in floats


def _weight(name: str, tensor: Any) -> Weight:
    import onnx

    params = math.prod(tensor.dims)
    packed = tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
    bits = 4 if packed else 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return Weight(name, params, math.ceil(params * bits / 8))
