"""The embedding of an ONNX model: a tensor of its graph, by default what its last matrix product reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError
from kdcompress.formats.onnx.external import save_onnx
from kdcompress.formats.onnx.selection import select_part
from kdcompress.formats.onnx.shapes import load
from kdcompress.registry import did_you_mean
from kdcompress.teachers import Classifier, Selection

# Operations between the last matrix product and the output that keep the order of classes
_AFTER_HEAD = ("Identity", "Cast", "Softmax", "LogSoftmax", "Sigmoid", "Flatten", "Reshape", "Squeeze", "Dropout")


def write_embedding_part(path: Path, selection: Selection, name: str | None, part: Path, description: str) -> Any:
    """Write the part of an ONNX file that computes its embedding.

    Args:
        path: The file.
        selection: Names of the image and the output, and the values of the other inputs.
        name: Name of the tensor; None for what the last matrix product reads.
        part: Destination.
        description: Name of the model in messages.

    Returns:
        (name of the tensor, the `Classifier` that follows, or None where it is not known).

    Raises:
        ModelError: There is no such tensor, or the model does not end in a matrix product.
    """
    import onnx

    model = load(path)
    graph = model.graph
    output = selection.output or graph.output[0].name
    classifier = None
    if name is None:
        name, classifier = _find_head(graph, output, description)
    tensors = {tensor for node in graph.node for tensor in node.output}
    if name not in tensors:
        raise ModelError(
            f"teacher.embedding: {description} computes no tensor {name!r}{did_you_mean(name, sorted(tensors))}"
        )
    if name not in [value.name for value in graph.output]:
        graph.output.append(onnx.ValueInfoProto(name=name))
    select_part(model, Selection(selection.image, name, selection.constants), description)
    save_onnx(model, part, description)
    return name, classifier


def append_head(model: Any, head: Classifier, pooled: bool) -> None:
    """Append a matrix product to a model, in place.

    Args:
        model: ModelProto with one output.
        head: The kernel and bias.
        pooled: Whether feature maps (n, width, H, W) are averaged first.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, tensor = model.graph, model.graph.output[0].name
    names = {name for node in graph.node for name in node.output} | {weight.name for weight in graph.initializer}
    prefix = "probe"
    while any(name.startswith(prefix) for name in names):  # of a file that has got a head before
        prefix += "_"
    steps = [("Cast", {"to": TensorProto.FLOAT}), *([("GlobalAveragePool", {}), ("Flatten", {})] if pooled else [])]
    for operation, settings in steps:
        name = f"{prefix}_{operation.lower()}"
        graph.node.append(helper.make_node(operation, [tensor], [name], **settings))
        tensor = name
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(head.kernel), f"{prefix}_kernel"))
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(head.bias), f"{prefix}_bias"))
    graph.node.append(helper.make_node("Gemm", [tensor, f"{prefix}_kernel", f"{prefix}_bias"], [prefix]))
    graph.ClearField("output")
    shape = ["batch", head.kernel.shape[1]]
    graph.output.append(helper.make_tensor_value_info(prefix, TensorProto.FLOAT, shape))


def _find_head(graph: Any, output: str, description: str) -> tuple[str, Classifier | None]:
    """The tensor that the last matrix product reads, and that product as a classifier."""
    from onnx import numpy_helper

    weights = {tensor.name: tensor for tensor in graph.initializer}
    producers = {tensor: node for node in graph.node for tensor in node.output}

    def constant(name: str) -> NDArray[np.float32] | None:
        return np.asarray(numpy_helper.to_array(weights[name]), np.float32) if name in weights else None

    bias: NDArray[np.float32] | None = None
    node = producers.get(output)
    while node is not None:
        if node.op_type in _AFTER_HEAD and bias is None:
            node = producers.get(node.input[0])
            continue
        values = [constant(name) for name in node.input]
        if node.op_type == "Add" and bias is None and sum(value is not None for value in values) == 1:
            index = 0 if values[1] is not None else 1
            bias, node = values[1 - index], producers.get(node.input[index])
            continue
        kernel = values[1] if len(values) > 1 else None
        if node.op_type == "MatMul" and kernel is not None and kernel.ndim == 2:
            return node.input[0], _classifier(kernel, bias)
        if node.op_type == "Gemm" and kernel is not None and bias is None:
            return node.input[0], _gemm(node, kernel, values[2] if len(values) > 2 else None)
        break
    raise ModelError(
        f"{description} does not end in a matrix product, whose input would be its embedding: name the tensor with "
        "teacher.embedding"
    )


def _gemm(node: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32] | None) -> Classifier | None:
    settings = {attribute.name: attribute for attribute in node.attribute}
    alpha = settings["alpha"].f if "alpha" in settings else 1.0
    beta = settings["beta"].f if "beta" in settings else 1.0
    if "transB" in settings and settings["transB"].i:
        kernel = kernel.T
    return _classifier(np.float32(alpha) * kernel, None if bias is None else np.float32(beta) * bias)


def _classifier(kernel: NDArray[np.float32], bias: NDArray[np.float32] | None) -> Classifier | None:
    """The product as a classifier; None where its bias is not one number, or one for each output."""
    n_outputs = kernel.shape[1]
    if bias is not None and bias.size not in (1, n_outputs):
        return None
    flat = np.zeros(n_outputs, np.float32) if bias is None else np.broadcast_to(np.ravel(bias), (n_outputs,))
    return Classifier(np.ascontiguousarray(kernel, np.float32), np.array(flat, np.float32))
