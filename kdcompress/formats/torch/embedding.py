"""The embedding of a PyTorch network: by default what its last linear layer reads."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.formats.torch.model import Program, is_mutation, operator_name, reduce_to
from kdcompress.teachers import Classifier

# Operators between the last linear layer and the output that keep rows and the order of classes
_AFTER_HEAD = {
    "softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "dropout", "flatten", "view", "reshape", "squeeze",
    "clone", "contiguous", "alias", "detach", "to", "_to_copy",
}  # fmt: skip


def cut_head(program: Program, description: str) -> tuple[str, Classifier]:
    """Reduce a network to what its last linear layer reads, in place.

    Args:
        program: The network.
        description: Its name in messages.

    Returns:
        (name of the embedding in the graph, the layer that has been cut off).

    Raises:
        ModelError: The network does not end in a linear layer that reads a row of numbers for each image.
    """
    module = program.module
    (output,) = [node for node in module.graph.nodes if node.op == "output"]
    node = output.args[0]
    while operator_name(node) in _AFTER_HEAD:
        node = node.args[0]
    read, kernel, bias = _linear(module, node)
    if kernel is None or not _reads_rows(module, read, output.args[0], kernel) or _changes(module, node):
        raise ModelError(
            f"{description} does not end in a linear layer, whose input would be its embedding: return the embedding "
            "as an output, too, and name it with teacher.embedding"
        )
    reduce_to(module, read)
    offset = np.zeros(kernel.shape[1], np.float32) if bias is None else bias
    return str(read.name), Classifier(np.ascontiguousarray(kernel), offset)


def _linear(module: Any, node: Any) -> tuple[Any, Any, Any]:
    """What a linear layer reads, its kernel (width, outputs) and its bias; no kernel where a node is no such layer."""
    name, bias, has_bias = operator_name(node), None, False
    if name == "linear":
        read, weight, *more = node.args
        kernel = _constant(module, weight)
        kernel = None if kernel is None else kernel.T
        has_bias = bool(more) and more[0] is not None
        bias = _constant(module, more[0]) if has_bias else None
    elif name in ("addmm", "mm", "matmul") and not node.kwargs:
        *more, read, weight = node.args
        transposed = _is_transpose(weight)
        kernel = _constant(module, weight.args[0] if transposed else weight)
        kernel = kernel.T if transposed and kernel is not None else kernel
        has_bias = bool(more)
        bias = _constant(module, more[0]) if has_bias else None
    else:
        return None, None, None
    known = kernel is not None and kernel.ndim == 2 and (not has_bias or (bias is not None and bias.ndim == 1))
    return (read, kernel, bias) if known else (None, None, None)


def _is_transpose(node: Any) -> bool:
    """Whether a node swaps the two axes of a matrix."""
    name, args = operator_name(node), list(getattr(node, "args", ()))
    return name in ("t", "numpy_T") or (
        (name == "permute" and [axis % 2 for axis in args[1]] == [1, 0])
        or (name == "transpose" and {args[1] % 2, args[2] % 2} == {0, 1})
    )


def _reads_rows(module: Any, read: Any, output: Any, kernel: Any) -> bool:
    """Whether a layer reads one row for each image, and each of its outputs is one of the network."""
    (image,) = [node for node in module.graph.nodes if node.op == "placeholder"]
    shapes: list[Any] = [getattr(node.meta.get("val"), "shape", ()) for node in (image, read, output)]
    rows = len(shapes[1]) == 2 and str(shapes[1][0]) == str(shapes[0][0])
    return rows and len(shapes[2]) == 2 and kernel.shape == (shapes[1][1], shapes[2][1])


def _changes(module: Any, node: Any) -> bool:
    """Whether something behind a node changes a tensor in place, perhaps its own output."""
    nodes = list(module.graph.nodes)
    return any(is_mutation(other) for other in nodes[nodes.index(node) :])


def _constant(module: Any, node: Any) -> Any:
    """The weights that a node stands for, as float32; None for anything else."""
    if getattr(node, "op", None) != "get_attr":
        return None
    tensor = functools.reduce(getattr, str(node.target).split("."), module)
    return tensor.detach().float().numpy().copy()
