"""The embedding of a PyTorch network: by default what its last linear layer reads."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.formats.torch.model import Program, operator_name, reduce_to
from kdcompress.teachers import Classifier

# Operators between the last linear layer and the output that keep the order of classes
_AFTER_HEAD = {
    "softmax", "_softmax", "log_softmax", "_log_softmax", "sigmoid", "dropout", "flatten", "view", "reshape", "squeeze",
    "clone", "contiguous", "alias", "detach", "to", "_to_copy",
}  # fmt: skip
_TRANSPOSES = {"t", "permute", "transpose", "numpy_T"}


def cut_head(program: Program, description: str) -> tuple[str, Classifier]:
    """Reduce a network to what its last linear layer reads, in place.

    Args:
        program: The network.
        description: Its name in messages.

    Returns:
        (name of the embedding in the graph, the layer that has been cut off).

    Raises:
        ModelError: The network does not end in a linear layer.
    """
    module = program.module
    (output,) = [node for node in module.graph.nodes if node.op == "output"]
    node = output.args[0]
    while operator_name(node) in _AFTER_HEAD:
        node = node.args[0]
    name = operator_name(node)
    if name == "linear":
        read, weight, bias = (*node.args, None)[:3]
        transposed = True
    elif name == "addmm" and not node.kwargs:
        bias, read, weight = node.args
        transposed = operator_name(weight) in _TRANSPOSES
        weight = weight.args[0] if transposed else weight
    else:
        read = weight = bias = None
        transposed = False
    kernel, offset = _constant(module, weight), _constant(module, bias)
    if kernel is None or (bias is not None and offset is None):
        raise ModelError(
            f"{description} does not end in a linear layer, whose input would be its embedding: return the embedding "
            "as an output, too, and name it with teacher.embedding"
        )
    kernel = kernel.T if transposed else kernel
    reduce_to(module, read)
    return str(read.name), Classifier(
        np.ascontiguousarray(kernel), np.zeros(kernel.shape[1], np.float32) if offset is None else offset
    )


def _constant(module: Any, node: Any) -> Any:
    """The weights that a node stands for, as float32; None for anything else."""
    if getattr(node, "op", None) != "get_attr":
        return None
    tensor = functools.reduce(getattr, str(node.target).split("."), module)
    return tensor.detach().float().numpy().copy()
