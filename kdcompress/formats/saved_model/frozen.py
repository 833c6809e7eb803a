"""Freezing of a SavedModel's signature to one graph of static shapes, for one image."""

from __future__ import annotations

from typing import Any

from kdcompress.exporting._freezing import allow_inlining, freeze_function
from kdcompress.formats.saved_model.selection import constant_inputs
from kdcompress.teachers import Selection


def freeze_signature(signature: Any, name: str, shape: tuple[int, ...], dtype: Any, selection: Selection) -> Any:
    """Convert the selected part of a signature to one graph without functions, with its variables as constants.

    Args:
        signature: Concrete function of the SavedModel.
        name: Name of its input for images.
        shape: (1, H, W, C).
        dtype: Data type of that input.
        selection: The output that counts, and constants for the other inputs.

    Returns:
        TensorFlow graph. A loop or branch remains one operation, which is then reported, instead of being lowered to a
        dozen; where shapes depend on one, they are those of a blank image.
    """
    import tensorflow as tf
    from tensorflow.python.eager.wrap_function import function_from_graph_def

    def forward(image: Any) -> Any:
        outputs = signature(**{name: image}, **constant_inputs(signature, selection.constants, image))
        return outputs if selection.output is None else outputs[selection.output]

    function = tf.function(forward, autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, dtype))
    _, frozen = freeze_function(concrete, lower_control_flow=False)
    if allow_inlining(frozen):
        ends = [tensor.name for tensor in (*concrete.inputs[:1], *concrete.outputs)]
        inlined = function_from_graph_def(frozen, ends[:1], ends[1:])
        _, frozen = freeze_function(inlined, lower_control_flow=False)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
    _set_shapes(graph, concrete.inputs[0].name, shape)
    return graph


def _set_shapes(graph: Any, image: str, shape: tuple[int, ...]) -> None:
    """Set the shapes that inference leaves open, behind branches of different shapes, to those of a blank image."""
    import numpy as np
    import tensorflow as tf

    tensors = [tensor for operation in graph.get_operations() for tensor in operation.outputs]
    unknown = [tensor for tensor in tensors if not tensor.shape.is_fully_defined() and _is_array(tensor)]
    if unknown:
        blank = np.zeros(shape, graph.get_tensor_by_name(image).dtype.as_numpy_dtype)
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run(unknown, {image: blank})
        for tensor, value in zip(unknown, values, strict=True):
            tensor.set_shape(np.shape(value))


def _is_array(tensor: Any) -> bool:
    return str(tensor.dtype.base_dtype.name) not in ("variant", "resource", "string")
