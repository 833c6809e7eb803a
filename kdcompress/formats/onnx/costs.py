"""Cost of an ONNX file: trained weights among its constants, and MACs from the shapes of its nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.onnx.selection import select_part
from kdcompress.formats.onnx.shapes import fix_image, image_input, load, tensor_shapes
from kdcompress.formats.onnx.weights import weights_by_node
from kdcompress.teachers import Selection
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape, Sizes, einsum_macs

# Operators of onnxruntime's own domain, added by its quantizers and optimizers, that are not matrix products
_FREE_NAMES = (
    "QuantizeLinear DequantizeLinear QLinearAdd QLinearMul QLinearConcat QLinearSigmoid QLinearLeakyRelu "
    "QLinearSoftmax QLinearAveragePool QLinearGlobalAveragePool Gelu BiasGelu FastGelu QuickGelu LayerNormalization"
)
_FREE = frozenset(_FREE_NAMES.split())
# Operators with matrix products that are not counted here
_UNKNOWN = frozenset({"Loop", "Scan", "If", "DFT", "STFT", "Attention", "DeformConv"})


def cost_of_onnx(path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
    """Count the cost of an ONNX file, in NHWC or NCHW layout, on one image; FLOPs are unknown.

    Only what the file contains is counted: an exporter that folds batch normalization into convolutions, or drops
    zero weights, leaves fewer parameters than the Keras model has.

    Args:
        path: The file.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        selection: The part of the file that counts.

    Returns:
        The cost.

    Raises:
        ModelError: The file cannot be loaded, or does not take one batch of images of this shape.
    """
    label, model = f"ONNX model {path}", load(path)
    select_part(model, selection, label)
    image = image_input(model.graph, label)
    shape = fix_image(image, input_shape, label)
    tensors = {name for node in model.graph.node if node.op_type in _MACS for name in (*node.input, *node.output)}
    try:
        shapes = tensor_shapes(model, image, tensors - {""})
    except Exception as exc:
        raise ModelError(f"{label} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc
    layers, weight_bytes = [], 0
    for node, used in weights_by_node(model.graph, image.name):
        weights = [weight for weight in used if weight.name not in selection.constants]
        params, macs = sum(weight.params for weight in weights), _node_macs(node, shapes)
        weight_bytes += sum(weight.bytes for weight in weights)
        if params or macs:
            layers.append(LayerCost(node.name or node.output[0], node.op_type, params, macs, None))
    return Cost.of_file(layers, weight_bytes, shape, _uncounted_warnings(model.graph))


def _uncounted_warnings(graph: Any) -> list[str]:
    """List operators without a formula that may be matrix products: control flow, and those of other domains."""
    uncounted = {
        f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        for node in graph.node
        if node.op_type in _UNKNOWN or (node.domain not in ("", "ai.onnx") and node.op_type not in (*_MACS, *_FREE))
    }
    return [f"not counted: MACs of {kind}" for kind in sorted(uncounted)]


def _node_macs(node: Any, shapes: dict[str, list[int]]) -> int:
    if node.op_type not in _MACS:
        return 0
    inputs: list[Sizes] = [shapes[name] if name else [] for name in node.input]
    return _MACS[node.op_type](node, inputs, shapes[node.output[0]] if node.output[0] else [])


def _attribute(node: Any, name: str) -> Any:
    import onnx

    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)


def _conv(weight: int) -> Callable[[Any, list[Sizes], Sizes], int]:
    # The kernel is (out, in / groups, k..), the output (batch, out, spatial..)
    return lambda node, inputs, output: math.prod(output) * math.prod(inputs[weight][1:])


def _transposed(node: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])  # the kernel is (in, out / groups, k..)


def _matmul(node: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(output) * inputs[0][-1]


def _gemm(node: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(output) * inputs[0][0 if _attribute(node, "transA") else 1]


def _einsum(node: Any, inputs: list[Sizes], output: Sizes) -> int:
    return einsum_macs(_attribute(node, "equation").decode(), *inputs)


def _recurrent(node: Any, inputs: list[Sizes], output: Sizes) -> int:
    steps = inputs[0][0] * inputs[0][1]  # (time, batch, features), or batch first
    return steps * (math.prod(inputs[1]) + math.prod(inputs[2]))


_MACS: dict[str, Callable[[Any, list[Sizes], Sizes], int]] = {
    **dict.fromkeys(("Conv", "FusedConv", "ConvInteger"), _conv(1)),
    **dict.fromkeys(("MatMul", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat"), _matmul),
    **dict.fromkeys(("DynamicQuantizeMatMul",), _matmul),
    **dict.fromkeys(("Gemm", "QGemm"), _gemm),
    "MatMulNBits": _matmul,
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "QLinearConv": _conv(3),
    "ConvTranspose": _transposed,
    "Einsum": _einsum,
}


class OnnxCosts(FileCosts):
    """Counts the cost of ONNX files."""

    kind = ".onnx"

    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Count the cost with `cost_of_onnx`."""
        return cost_of_onnx(path, input_shape, selection)


COSTS = OnnxCosts
