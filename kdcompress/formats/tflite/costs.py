"""Cost of a TFLite file: constants of its operators, and MACs from shapes that the interpreter reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.tflite.selection import enum_names, operator_name, read_model, select_part
from kdcompress.models import resolve_image_shape
from kdcompress.teachers import Selection
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape, Sizes

# Operators with matrix products that are not counted here, by a word of their name
_UNKNOWN = frozenset({"WHILE", "IF", "CALL", "CUSTOM", "LSTM", "RNN", "SVDF", "RFFT2D", "STABLEHLO"})
_PIXEL_ARITHMETIC = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST", "MUL", "ADD", "SUB", "DIV", "TRANSPOSE"})
_SETTINGS = frozenset({"PAD", "PADV2", "QUANTIZE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"})
_BIASED = {  # position of the bias
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "CONV_3D"), 2),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"), 3),
}
_BITS = {"FLOAT32": 32, "FLOAT16": 16, "INT16": 16, "INT8": 8, "UINT8": 8, "INT4": 4, "INT32": 32, "INT64": 64}


def cost_of_tflite(path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
    """Count the cost of a TFLite file on one image; integer models count like float ones, and FLOPs are unknown.

    Only what the file contains is counted: the converter folds batch normalization into convolutions and drops zero
    biases.

    Args:
        path: The file.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        selection: The part of the file that counts.

    Returns:
        The cost.

    Raises:
        ModelError: The file cannot be loaded, or does not take one batch of images of this shape.
    """
    name, model = f"TFLite model {path}", read_model(path)
    content = path.read_bytes()
    if selection.output is not None or selection.constants:
        content = select_part(model, selection, name)
    graph = model.subgraphs[0]
    shape = _image_shape(graph, input_shape, name)
    shapes = _shapes(content, shape, name)
    operators = [(operator_name(model, op), op) for op in graph.operators]
    layers, weight_bytes = [], 0
    cropped = {op.inputs[0]: op.outputs[0] for kind, op in operators if kind == "BATCH_TO_SPACE_ND"}
    for kind, op, weights in _weights(model, operators, selection.constants):
        params, macs = sum(n for n, _ in weights), _op_macs(kind, op, shapes, cropped)
        weight_bytes += sum(stored for _, stored in weights)
        if params or macs:
            layers.append(LayerCost(graph.tensors[op.outputs[0]].name.decode(), kind, params, macs, None))
    uncounted = sorted({kind for kind, _ in operators if _UNKNOWN.intersection(kind.split("_"))})
    return Cost.of_file(layers, weight_bytes, shape, [f"not counted: MACs of {kind}" for kind in uncounted])


def _image_shape(graph: Any, input_shape: Shape | None, name: str) -> Shape:
    if len(graph.inputs) != 1:
        raise ModelError(f"{name} has {len(graph.inputs)} inputs; costs are counted on one batch of images")
    tensor = graph.tensors[graph.inputs[0]]
    sizes = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    return resolve_image_shape([None if size < 0 else int(size) for size in sizes[1:]], input_shape, name)


def _shapes(content: bytes, shape: Shape, name: str) -> list[Sizes]:
    """Determine the shape of each tensor by a run on a blank image, since shapes may depend on other tensors."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            num_threads=1,
        )
        image = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(image["index"], (1, *shape))
        interpreter.allocate_tensors()
        interpreter.set_tensor(image["index"], np.zeros((1, *shape), image["dtype"]))
        interpreter.invoke()
    except Exception as exc:
        raise ModelError(f"{name} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc
    shapes = {tensor["index"]: [int(size) for size in tensor["shape"]] for tensor in interpreter.get_tensor_details()}
    return [shapes.get(index, []) for index in range(max(shapes) + 1)]


def _weights(
    model: Any, operators: list[tuple[str, Any]], inputs: Collection[str]
) -> Iterator[tuple[str, Any, list[tuple[int, int]]]]:
    """Yield each operator with (params, bytes) of the trained constants that it is the first to use.

    Constants stored as float16 reach their operator through DEQUANTIZE. Scalars, shapes, constants that scale raw
    pixels, and those that take the place of `inputs` are not weights.
    """
    graph = model.subgraphs[0]
    pixels = set(graph.inputs)
    seen = {index for index, tensor in enumerate(graph.tensors) if tensor.name.decode() in inputs}
    origin = {op.outputs[0]: op.inputs[0] for kind, op in operators if kind == "DEQUANTIZE"}
    for kind, op in operators:
        variables = [index for index in op.inputs if index >= 0 and not _is_constant(model, index)]
        if kind in _PIXEL_ARITHMETIC and variables and pixels.issuperset(variables):
            pixels |= set(op.outputs)
            continue
        weights = []
        for position, index in enumerate(op.inputs):
            stored = origin.get(index, index)
            bias = position == _BIASED.get(kind)
            if kind not in (*_SETTINGS, "DEQUANTIZE") and stored not in seen and _is_trained(model, stored, bias):
                seen.add(stored)
                weights.append(_size(graph.tensors[stored]))
        yield kind, op, weights


def _is_constant(model: Any, index: int) -> bool:
    data = None if index < 0 else model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return data is not None and len(data) > 0


def _is_trained(model: Any, index: int, bias: bool) -> bool:
    tensor = model.subgraphs[0].tensors[index]
    integer = _type(tensor) in ("INT32", "INT64")  # shapes and axes, or the bias of an integer layer
    scalar = tensor.shape is None or not len(tensor.shape)
    return _is_constant(model, index) and not scalar and _type(tensor) in _BITS and (bias or not integer)


def _size(tensor: Any) -> tuple[int, int]:
    params = math.prod(int(size) for size in tensor.shape)
    return params, math.ceil(params * _BITS[_type(tensor)] / 8)


def _type(tensor: Any) -> str:
    return enum_names("TensorType")[tensor.type]


def _op_macs(kind: str, op: Any, shapes: list[Sizes], cropped: dict[int, int]) -> int:
    """Count the MACs of an operator; a dilated convolution counts for its output without padding, as elsewhere."""
    if kind not in _MACS:
        return 0
    inputs = [shapes[index] if index >= 0 else [] for index in op.inputs]
    output = op.outputs[0]
    return _MACS[kind](op, inputs, shapes[cropped.get(output, output)])


def _batch_matmul(op: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(output) * inputs[0][-2 if op.builtinOptions.adjX else -1]


_MACS: dict[str, Callable[[Any, list[Sizes], Sizes], int]] = {
    "CONV_2D": lambda op, inputs, output: math.prod(output) * math.prod(inputs[1][1:]),  # (out, h, w, in / groups)
    "DEPTHWISE_CONV_2D": lambda op, inputs, output: math.prod(output) * math.prod(inputs[1][1:3]),  # (1, h, w, out)
    "CONV_3D": lambda op, inputs, output: math.prod(output) * math.prod(inputs[1][:-1]),  # (d, h, w, in, out)
    "FULLY_CONNECTED": lambda op, inputs, output: math.prod(output) * inputs[1][-1],  # (out, in)
    "TRANSPOSE_CONV": lambda op, inputs, output: math.prod(inputs[2]) * math.prod(inputs[1][:-1]),  # (out, h, w, in)
    "CONV_3D_TRANSPOSE": lambda op, inputs, output: math.prod(inputs[2]) * math.prod(inputs[1][:-1]),
    "BATCH_MATMUL": _batch_matmul,
}


class TFLiteCosts(FileCosts):
    """Counts the cost of TFLite files."""

    kind = ".tflite"

    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Count the cost with `cost_of_tflite`."""
        return cost_of_tflite(path, input_shape, selection)


COSTS = TFLiteCosts
