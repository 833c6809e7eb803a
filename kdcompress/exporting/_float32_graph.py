"""Conversion of frozen graphs that compute in other floating-point types, as SavedModels may, to float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_PRODUCTS = ("MatMul", "Conv", "Einsum")  # in the types of operators whose type is that of the model


def find_float_types(definition: Any) -> str:
    """Find the types other than float32 in which a graph multiplies matrices.

    Args:
        definition: GraphDef.

    Returns:
        Names of the types, separated by commas; "" if there are none. A model that merely casts to one has none.
    """
    names = _types()
    products = [node for node in _nodes(definition) if any(word in node.op for word in _PRODUCTS)]
    return ", ".join(sorted({names[node.attr["T"].type] for node in products if node.attr["T"].type in names}))


def convert_to_float32(definition: Any) -> None:
    """Convert all floating-point types of a graph to float32, in place; weights are rounded to it.

    Args:
        definition: Frozen GraphDef.
    """
    for function in definition.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.type = _float32(argument.type)
    for node in _nodes(definition):
        for value in node.attr.values():
            _convert(value)


def _nodes(definition: Any) -> Iterator[Any]:
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _convert(value: Any) -> None:
    import numpy as np
    import tensorflow as tf

    kind = value.WhichOneof("value")
    if kind == "type":
        value.type = _float32(value.type)
    elif kind == "list":
        value.list.type[:] = [_float32(number) for number in value.list.type]
    elif kind == "tensor" and value.tensor.dtype in _types():
        value.tensor.CopyFrom(tf.make_tensor_proto(tf.make_ndarray(value.tensor).astype(np.float32)))


def _types() -> dict[int, str]:
    import tensorflow as tf

    return {dtype.as_datatype_enum: dtype.name for dtype in (tf.float16, tf.bfloat16, tf.float64)}


def _float32(number: int) -> int:
    import tensorflow as tf

    return int(tf.float32.as_datatype_enum) if number in _types() else number
