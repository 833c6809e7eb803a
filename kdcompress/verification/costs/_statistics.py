"""FLOPs of TensorFlow operations: TensorFlow's profiler with keras-flops' statistics, and those that both lack."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Set as AbstractSet
from typing import Any

from kdcompress.verification.costs._base import einsum_macs

# Operations with two FLOPs per MAC
MAC_OPS = frozenset(
    [
        "MatMul",
        "BatchMatMul",
        "BatchMatMulV2",
        "BatchMatMulV3",
        "Einsum",
        "Conv2D",
        "Conv3D",
        "DepthwiseConv2dNative",
        "Conv2DBackpropInput",
        "Conv3DBackpropInputV2",
    ]
)
# Operations counted as zero, as in published figures: data movement, activations and other element-wise functions.
# All others without a statistic are reported as not counted.
_FREE_NAMES = (
    "Const Placeholder PlaceholderWithDefault ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp Identity "
    "IdentityN StopGradient PreventGradient Snapshot EnsureShape CheckNumerics Cast Bitcast Reshape Squeeze ExpandDims "
    "Pad PadV2 MirrorPad Concat ConcatV2 Split SplitV Slice StridedSlice Pack Unpack Transpose Tile Gather GatherV2 "
    "GatherNd ScatterNd TensorScatterUpdate BroadcastTo Fill ZerosLike OnesLike OneHot ReverseV2 Roll Select SelectV2 "
    "SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace ExtractImagePatches ResizeNearestNeighbor MatrixBandPart "
    "Range LinSpace TensorListReserve TensorListFromTensor TensorListStack Min TopKV2 "
    "Relu Relu6 LeakyRelu Elu Selu Softplus Softsign Sigmoid Tanh Erf Erfc Exp Expm1 Log1p Sqrt Abs Sign Floor Ceil "
    "Round Rint Sin Cos Tan Atan Sinh Cosh Asinh Acosh Atanh DivNoNan FloorDiv FloorMod ClipByValue LogSoftmax "
    "FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV4"
)
_FREE = frozenset(_FREE_NAMES.split())


def operation_flops(graph: Any, recurrent: AbstractSet[str] = frozenset()) -> dict[str, int]:
    """Count the FLOPs of each operation with TensorFlow's profiler, and correct what does no work on an image.

    Products of weights with weights (LoRA) are computed once, not for each image, so they count nothing. A dilated
    convolution that runs between SpaceToBatchND and BatchToSpaceND works on padding, which only its cropped output is
    free of, so it counts for that output. Arithmetic of integers, which are sizes and indices, counts nothing.

    Args:
        graph: TensorFlow graph with static shapes; weights may be variables.
        recurrent: Names of the operations of recurrent layers, whose first step multiplies weights with a state of
            zeros, for each image.

    Returns:
        FLOPs by the name of the operation; operations with none are left out.
    """
    import tensorflow as tf

    _register()
    builder = tf.compat.v1.profiler.ProfileOptionBuilder
    options = builder(builder.float_operation()).with_empty_output().build()
    root = tf.compat.v1.profiler.profile(graph, run_meta=tf.compat.v1.RunMetadata(), cmd="scope", options=options)
    flops: dict[str, int] = {}
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        flops[node.name] = flops.get(node.name, 0) + node.float_ops
    folded = _weight_products(graph) - recurrent
    counted = {name: n for name, n in flops.items() if n and name and name not in folded and _counts(graph, name)}
    return {name: _without_padding(graph, name, n) for name, n in counted.items()}


def _counts(graph: Any, name: str) -> bool:
    """Return whether an operation computes numbers, or is a product of quantized ones: the others are of sizes."""
    operation = graph.get_operation_by_name(name)
    return operation.type in MAC_OPS or any(_is_number(tensor.dtype) for tensor in operation.outputs)


def _weight_products(graph: Any) -> set[str]:
    """Return the names of products of weights with weights, and of what is computed of them without the image."""
    operations = graph.get_operations()
    inputs = [operation for operation in operations if operation.type == "Placeholder"]
    images = [operation for operation in inputs if all(_is_number(tensor.dtype) for tensor in operation.outputs)]
    of_image = _closure(images, set())
    products = [op for op in operations if op.type in MAC_OPS and op.name not in of_image]
    return _closure(products, of_image)


def _closure(start: list[Any], excluded: set[str]) -> set[str]:
    """Return the names of operations and of all that is computed of their results, but for those `excluded`."""
    names = {operation.name for operation in start}
    waiting = list(start)
    while waiting:
        for tensor in waiting.pop().outputs:
            targets = [target for target in tensor.consumers() if target.name not in names | excluded]
            names |= {target.name for target in targets}
            waiting += targets
    return names


def _without_padding(graph: Any, name: str, flops: int) -> int:
    """Return the FLOPs of an operation, of a dilated convolution those of its cropped output."""
    operation = graph.get_operation_by_name(name)
    sources = [tensor.op for tensor in operation.inputs[:1]]
    targets = [target for tensor in operation.outputs for target in tensor.consumers()]
    around = [op.type for op in (*sources, *targets)]
    if operation.type not in MAC_OPS or around != ["SpaceToBatchND", "BatchToSpaceND"]:
        return flops
    padded, cropped = (math.prod(op.outputs[0].shape) for op in (operation, targets[0]))
    return int(flops * cropped // padded)


def uncounted_type(operation: Any) -> str | None:
    """Check whether an operation computes numbers but has no FLOP statistic.

    Args:
        operation: TensorFlow operation.

    Returns:
        Its type, for a warning; None if it is counted.
    """
    from tensorflow.python.framework import ops

    _register()
    if operation.type in _FREE or not any(_is_number(tensor.dtype) for tensor in operation.outputs):
        return None
    try:
        stats = ops.get_stats_for_node_def(operation.graph, operation.node_def, "flops")
    except ValueError:
        return f"{operation.type} with a shape or layout that its statistic does not know"
    return None if stats.value is not None else str(operation.type)


def _is_number(dtype: Any) -> bool:
    # Integers are shapes and indices, which are not counted; variants and resources are handles
    return bool(dtype.is_floating or dtype.is_complex or dtype.is_quantized)


def _register() -> None:
    """Register keras-flops' statistics, and our own where it and TensorFlow count nothing or wrongly."""
    if "keras_flops.flops_registory" in sys.modules:
        return
    from tensorflow.python.framework import ops
    from tensorflow.python.profiler.internal import flops_registry  # noqa: F401

    registry = ops._stats_registry._registry
    registry.pop("AddV2,flops", None)  # keras-flops registers one that TensorFlow now has itself
    importlib.import_module("keras_flops.flops_registory")
    # TensorFlow's statistic divides the padded output by the strides: an error of 25 % and more on small images
    registry.pop("Conv2DBackpropInput,flops", None)
    for kind, macs in (
        ("Einsum", _einsum),
        ("Conv2DBackpropInput", _transposed_conv),
        ("Conv3DBackpropInputV2", _transposed_conv),
    ):
        ops.RegisterStatistics(kind, "flops")(_flops_from_macs(macs))


def _flops_from_macs(macs: Any) -> Any:
    def flops(graph: Any, node: Any) -> Any:
        from tensorflow.python.framework import graph_util, ops

        shapes = [graph_util.tensor_shape_from_node_def_name(graph, name) for name in node.input]
        for shape in shapes:
            shape.assert_is_fully_defined()
        return ops.OpStats("flops", 2 * macs(node, [shape.as_list() for shape in shapes]))

    return flops


def _einsum(node: Any, shapes: list[list[int]]) -> int:
    return einsum_macs(node.attr["equation"].s.decode(), *shapes)


def _transposed_conv(node: Any, shapes: list[list[int]]) -> int:
    """Multiply input positions by the size of the kernel (..., out, in); inputs: output sizes, kernel, input image."""
    _, kernel, image = shapes
    return math.prod(image) // kernel[-1] * math.prod(kernel)
