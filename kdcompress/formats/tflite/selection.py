"""The part of a TFLite model that one output needs, with constants for its other inputs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.tflite.model import quantize
from kdcompress.teachers import Selection

_MAX_CONSTANT = 1 << 24  # numbers of one constant input
_STATEFUL = ("ASSIGN_VARIABLE", "CALL_ONCE")  # operators whose effects no tensor shows
_OUTSIDE = 1  # offsets above it are of weights behind the flatbuffer, in files of more than 2 GB


def read_model(path: Path) -> Any:
    """Read a TFLite file.

    Args:
        path: The file.

    Returns:
        ModelT.

    Raises:
        ModelError: It is damaged.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    try:
        content = path.read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError("it has no TFLite header")
        return flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as a TFLite model: {one_line(exc)}") from exc


def select_part(model: Any, selection: Selection, name: str) -> bytes:
    """Reduce a model, in place, to what computes the selected output from the image.

    Args:
        model: ModelT; its constant inputs become weights, and operators and weights of other outputs go.
        selection: Names of the image and the output, and the values of the other inputs.
        name: Name of the model in errors.

    Returns:
        The content of its file.

    Raises:
        ModelError: There is no such output or input, a constant is too large, or the model keeps a state.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    graph = model.subgraphs[0]
    kinds = {operator_name(model, op) for op in graph.operators}
    if state := sorted(kinds.intersection(_STATEFUL)):
        raise ModelError(f"{name} keeps a state ({state[0]}): a part of it cannot be cut out")
    if any((buffer.offset or 0) > _OUTSIDE for buffer in model.buffers):
        raise ModelError(f"{name} keeps weights behind its graph: a part of it cannot be cut out")
    for key, value in selection.constants.items():
        _make_constant(model, key, value, name)
    if selection.output is not None:
        graph.outputs = [_find(graph, graph.outputs, selection.output, f"{name} has no output")]
        graph.operators = _needed_operators(graph)
        _drop_unused_weights(model)
    model.signatureDefs = None  # they name the other inputs and outputs
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def operator_name(model: Any, operator: Any) -> str:
    """Return the name of an operator's type, such as "CONV_2D".

    Args:
        model: ModelT.
        operator: OperatorT of one of its graphs.
    """
    code = model.operatorCodes[operator.opcodeIndex]
    return enum_names("BuiltinOperator")[max(code.builtinCode, code.deprecatedBuiltinCode)]


def enum_names(enum: str) -> dict[int, str]:
    """Return the names of an enumeration of the schema, by number.

    Args:
        enum: Its name, such as "TensorType".
    """
    from tensorflow.lite.python import schema_py_generated as schema

    return {value: name for name, value in vars(getattr(schema, enum)).items() if isinstance(value, int)}


def _find(graph: Any, indices: Any, tensor: str, problem: str) -> int:
    names = {graph.tensors[index].name.decode(): int(index) for index in indices}
    if tensor not in names:
        raise ModelError(f"{problem} {tensor!r}; it has {', '.join(names)}")
    return names[tensor]


def _make_constant(model: Any, key: str, value: float, name: str) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    graph = model.subgraphs[0]
    index = _find(graph, graph.inputs, key, f"{name} has no input")
    tensor = graph.tensors[index]
    shape = [] if tensor.shape is None else [max(int(size), 1) for size in tensor.shape]
    if math.prod(shape) > _MAX_CONSTANT:
        raise ModelError(f"{name}: its input {key} of {'x'.join(map(str, shape))} is too large for a constant")
    dtype = np.dtype(enum_names("TensorType")[tensor.type].lower())
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(quantize(np.full(shape, value), dtype, _scale(tensor)).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer, tensor.shapeSignature = len(model.buffers) - 1, None
    graph.inputs = [other for other in graph.inputs if other != index]


def _scale(tensor: Any) -> tuple[float, int]:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return 0.0, 0
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def _needed_operators(graph: Any) -> list[Any]:
    """Return the operators that the outputs are computed by."""
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.operators):  # which stand in the order of execution
        if needed.intersection(op.outputs):
            needed |= set(op.inputs)
            kept.append(op)
    return kept[::-1]


def _drop_unused_weights(model: Any) -> None:
    graph, *others = model.subgraphs
    used = {int(index) for op in graph.operators for index in (*op.inputs, *op.outputs)} | set(graph.inputs)
    buffers = {graph.tensors[index].buffer for index in used if index >= 0}
    buffers |= {tensor.buffer for other in others for tensor in other.tensors}
    for index, tensor in enumerate(graph.tensors):
        if index not in used and tensor.buffer not in buffers:
            model.buffers[tensor.buffer].data = None
