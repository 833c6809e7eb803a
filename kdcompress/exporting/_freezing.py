"""Freezing of TensorFlow functions: variables become constants, functions are inlined, assignments are removed."""

from __future__ import annotations

from typing import Any

import numpy as np


def freeze_function(function: Any, lower_control_flow: bool = True) -> tuple[Any, Any]:
    """Freeze a concrete function.

    Inference assigns nothing that its outputs need: what remains are seeds that random layers advance, and freezing
    cannot assign to a constant. So assignments are removed with all that only they need.

    Args:
        function: Concrete TensorFlow function.
        lower_control_flow: Whether loops and branches become operations of the graph; otherwise each remains one
            operation with functions of its own.

    Returns:
        The frozen concrete function, and its GraphDef.
    """
    from tensorflow.python.framework import convert_to_constants as conversion

    class WithoutAssignments(conversion._FunctionConverterDataInEager):  # type: ignore[misc]
        def __init__(self) -> None:
            self._func = function
            definition = conversion._run_inline_graph_optimization(function, lower_control_flow, False)
            kept = [tensor.op.name for tensor in (*function.inputs, *function.outputs)]
            conversion._ConverterData.__init__(self, _without_assignments(definition, kept))
            self._build_tensor_data()

    definition, constants = conversion._replace_variables_by_constants(WithoutAssignments())
    return conversion._construct_concrete_function(function, definition, constants), definition


def _without_assignments(definition: Any, kept: list[str]) -> Any:
    assignments = {node.name for node in definition.node if node.op.startswith("Assign")}
    branches = any(node.op in ("Switch", "Merge") for node in definition.node)
    for node in definition.node:
        # Without assignments the order of execution matters only to branches and loops
        ordering = [value for value in node.input if value.startswith("^") and branches]
        data = [value for value in node.input if not value.startswith("^")]
        node.attr.pop("_class", None)  # places nodes on the device of others, which may be gone
        node.input[:] = [*data, *(value for value in ordering if value[1:] not in assignments)]
    return _extract_subgraph(definition, kept)


def _extract_subgraph(definition: Any, names: list[str]) -> Any:
    """Extract the named nodes with all that they need."""
    nodes = {node.name: node for node in definition.node}
    needed: set[str] = set()
    pending = list(names)
    while pending:
        if (name := pending.pop()) not in needed:
            needed.add(name)
            pending += (value.lstrip("^").split(":")[0] for value in nodes[name].input)
    kept = [node for node in definition.node if node.name in needed]
    return type(definition)(node=kept, library=definition.library, versions=definition.versions)


def allow_inlining(definition: Any) -> bool:
    """Let all functions of a graph be inlined; Keras has XLA compile grouped convolutions as functions of their own.

    The functions are renamed, since TensorFlow has already registered the old names.

    Args:
        definition: A frozen GraphDef, which is changed.

    Returns:
        Whether any function was marked for XLA.
    """
    functions = definition.library.function
    nodes = [*definition.node, *(node for function in functions for node in function.node_def)]
    marked = [part for part in (*functions, *nodes) if part.attr.pop("_XlaMustCompile", None)]
    for function in functions:
        function.attr.pop("_noinline", None)
        function.signature.name += "_inlined"
    for attribute in (attribute for node in nodes for attribute in node.attr.values()):
        if attribute.func.name:
            attribute.func.name += "_inlined"
    return bool(marked)


def fix_reshapes(graph: Any, definition: Any) -> None:
    """Give each reshape whose result is static except for the batch a constant shape, with -1 for the batch.

    TensorFlow computes these shapes at run time; after conversion they become chains of small operators that cost time,
    hinder quantization, and are not supported on microcontrollers.

    Args:
        graph: Frozen TensorFlow graph.
        definition: Its GraphDef, which is changed.
    """
    import tensorflow as tf

    nodes = {node.name: node for node in definition.node}
    for operation in graph.get_operations():
        if operation.type != "Reshape" or operation.inputs[1].op.type == "Const":
            continue
        shape = operation.outputs[0].shape
        if shape.rank is None or sum(size is None for size in shape) != 1:
            continue
        constant = definition.node.add(name=f"{operation.name}/fixed_shape", op="Const")
        constant.attr["dtype"].type = tf.int32.as_datatype_enum
        sizes = np.array([-1 if size is None else size for size in shape], np.int32)
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(sizes))
        node = nodes[operation.name]
        node.input[1] = constant.name
        node.attr["Tshape"].type = tf.int32.as_datatype_enum
