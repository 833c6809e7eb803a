"""MACs computed from a layer's kernel and the shapes of one call, independent of TensorFlow's operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kdcompress.verification.costs._base import Sizes, einsum_macs


def layer_macs(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    """Compute the MACs of one call of a Keras layer or operation, without its sublayers.

    Args:
        layer: Layer or operation; a subclass counts as the Keras class that it derives from.
        inputs: Shapes of the call's tensors in their order, with the batch.
        output: Shape of the first result, with the batch.

    Returns:
        MACs; 0 for a class without a formula.
    """
    for base in type(layer).__mro__:
        if base.__name__ in _FORMULAS and base.__module__.startswith("keras."):
            return _FORMULAS[base.__name__](layer, inputs, output)
    return 0


def _positions(layer: Any, shape: Sizes) -> int:
    """Count the positions of a feature map over batch and space."""
    channels = 1 if layer.data_format == "channels_first" else -1
    return math.prod(shape) // shape[channels]


def _kernel_size(kernel: Any) -> int:
    return math.prod(int(size) for size in kernel.shape)


def _conv(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return _positions(layer, output) * _kernel_size(layer.kernel)  # (k.., in / groups, out)


def _transposed(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return _positions(layer, inputs[0]) * _kernel_size(layer.kernel)  # the whole kernel at each input position


def _separable(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    kernels = _kernel_size(layer.depthwise_kernel) + _kernel_size(layer.pointwise_kernel)
    return _positions(layer, output) * kernels


def _dense(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(output) * int(layer.kernel.shape[0])


def _einsum_dense(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return einsum_macs(layer.equation, inputs[0], layer.kernel.shape)


def _cell(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    """Compute the MACs of one step of a recurrent cell, whose output is (batch, units)."""
    kernels = _kernel_size(layer.kernel) + _kernel_size(layer.recurrent_kernel)
    return output[0] * kernels


def _conv_cell(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    kernels = _kernel_size(layer.kernel) + _kernel_size(layer.recurrent_kernel)
    return _positions(layer, output) * kernels


def _multi_head(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    """Compute the MACs of scores and weighted sum; projections are layers of their own. Inputs: query, value, ..."""
    query, value = inputs[0], inputs[1]
    axes = layer._attention_axes
    queries, keys = (math.prod(shape[axis] for axis in axes) for shape in (query, value))
    batch = math.prod(query[:-1]) // queries
    return int(batch * layer.num_heads * queries * keys * (layer.key_dim + layer.value_dim))


def _grouped_query(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    query, value = inputs[0], inputs[1]
    return int(query[0] * layer.num_query_heads * query[1] * value[1] * 2 * layer.head_dim)


def _attention(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    query, value = inputs[0], inputs[1]
    scores = query[2] if layer.score_mode == "dot" else 0
    return query[0] * query[1] * value[1] * (scores + value[2])


def _additive_attention(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    query, value = inputs[0], inputs[1]
    return query[0] * query[1] * math.prod(value[1:])


def _dot(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(output) * inputs[0][axes]


def _matmul(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return math.prod(output) * inputs[0][-1]


def _einsum(layer: Any, inputs: list[Sizes], output: Sizes) -> int:
    return einsum_macs(layer.subscripts, *inputs)


_FORMULAS: dict[str, Callable[[Any, list[Sizes], Sizes], int]] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D", "DepthwiseConv1D", "DepthwiseConv2D"), _conv),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _transposed),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), _separable),
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell"), _cell),
    "ConvLSTMCell": _conv_cell,
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "MultiHeadAttention": _multi_head,
    "GroupedQueryAttention": _grouped_query,
    "AdditiveAttention": _additive_attention,
    "Attention": _attention,
    "Dot": _dot,
    "Matmul": _matmul,
    "Einsum": _einsum,
}
