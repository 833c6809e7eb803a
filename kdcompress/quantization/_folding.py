"""Rewriting of a model into plain layers of kernels and biases: BatchNorm is folded, nested models are flattened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.quantization._copying import call_copy, copy_layer
from kdcompress.quantization._graph import Graph, Node, rebuild

CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D", "Conv2DTranspose")
KERNELS = (*CONVOLUTIONS, "Dense")
_MAP_RANK = 4
FUSED = ("linear", "relu", "relu6")  # activations that int8 kernels compute by clipping


def fold(model: Any) -> Any:
    """Rewrite a model into an equal one without BatchNorm, separable convolutions and models inside it.

    BatchNorm behind a convolution or Dense goes into its kernel and bias (Jacob et al. 2018, section 3.2); elsewhere it
    becomes a depthwise convolution of 1x1. Activations other than ReLU and ReLU6 become layers of their own.

    Args:
        model: Functional or Sequential Keras model with one input and one output; it stays as it is.

    Returns:
        A new functional model with weights of its own, equal up to rounding.

    Raises:
        ModelError: The model is subclassed, or has several inputs or outputs.
    """
    return _fold_norms(_flatten(model))


def kernel_axes(layer: Any) -> tuple[int, ...]:
    """Return the axes of a kernel over which its output channels run.

    Args:
        layer: A layer of one of the KERNELS.
    """
    return {"DepthwiseConv2D": (2, 3), "Conv2DTranspose": (2,)}.get(type(layer).__name__, (-1,))


def channel_shape(layer: Any) -> tuple[int, ...]:
    """Return the shape in which values by output channel are multiplied with a kernel.

    Args:
        layer: A built layer of one of the KERNELS.
    """
    kernel = layer.kernel.shape
    channels = [axis % len(kernel) for axis in kernel_axes(layer)]
    return tuple(size if axis in channels else 1 for axis, size in enumerate(kernel))


def activation_name(layer: Any) -> str:
    """Return the name of the activation of a layer; "linear" if it has none.

    Args:
        layer: A Keras layer or operation.
    """
    return str(getattr(getattr(layer, "activation", None), "__name__", "linear"))


def _flatten(model: Any) -> Any:
    """Copy a model without models inside it, with activations and separable convolutions as layers of their own."""
    copies: dict[int, Any] = {}
    names: Counter[str] = Counter()

    def unique(name: str) -> str:
        names[name] += 1
        return name if names[name] == 1 else unique(f"{name}_{names[name]}")

    def make(node: Node) -> list[Any]:
        layer = node.operation
        if not hasattr(layer, "get_weights"):
            return [layer]
        if node.kind == "Dense" and len(node.inputs[0].shape) == _MAP_RANK:
            layer = _as_convolution(layer)
        if type(layer).__name__ == "SeparableConv2D":
            return _split_separable(layer, unique)
        activation, name = activation_name(layer), unique(layer.name)
        if type(layer).__name__ not in KERNELS or activation in FUSED:
            return [copy_layer(layer, name=name)]
        return [copy_layer(layer, name=name, activation="linear"), _activation(layer, unique)]

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        if node.kind == "InputLayer":
            return args[0]
        layers = copies.setdefault(id(node.operation), []) or copies[id(node.operation)]
        if not layers:
            layers += make(node)
        first, *more = layers
        outputs = call_copy(first, *args, **kwargs)
        for layer in more:
            outputs = call_copy(layer, outputs)
        return outputs

    return rebuild(model, call)


def _as_convolution(dense: Any) -> Any:
    """A convolution of 1x1 in place of a Dense on maps, which runtimes would compute in float."""
    import keras

    made = keras.layers.Conv2D(dense.units, 1, use_bias=dense.use_bias, activation=dense.activation, name=dense.name)
    kernel, *bias = dense.get_weights()
    made.build((None, None, None, kernel.shape[0]))
    made.set_weights([kernel[None, None], *bias])
    return made


def _activation(layer: Any, unique: Callable[[str], str]) -> Any:
    import keras

    return copy_layer(keras.layers.Activation(layer.activation, name=unique(f"{layer.name}_{activation_name(layer)}")))


def _split_separable(layer: Any, unique: Callable[[str], str]) -> list[Any]:
    """A depthwise and a pointwise convolution in place of a separable one."""
    import keras

    common = {"data_format": layer.data_format}
    depthwise = keras.layers.DepthwiseConv2D(
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        use_bias=False,
        name=unique(f"{layer.name}_depthwise"),
        **common,
    )
    activation = activation_name(layer)
    pointwise = keras.layers.Conv2D(
        layer.filters,
        1,
        use_bias=layer.use_bias,
        activation=layer.activation if activation in FUSED else None,
        name=unique(layer.name),
        **common,
    )
    first, *rest = layer.get_weights()
    depthwise._initial, pointwise._initial = [first], rest
    more = [] if activation in FUSED else [_activation(layer, unique)]
    return [depthwise, pointwise, *more]


def _fold_norms(model: Any) -> Any:
    graph = Graph(model)
    behind: dict[int, Node] = {}  # kernel layer -> the BatchNorm behind it
    for node in graph.nodes:
        norm = graph.only_consumer(node) if node.kind in KERNELS else None
        if norm is not None and norm.kind == "BatchNormalization" and _folds(node.operation, norm):
            behind[id(node.operation)] = norm
    folded = {id(norm.operation) for norm in behind.values()}
    copies: dict[int, Any] = {}

    def make(node: Node) -> Any:
        layer = node.operation
        if norm := behind.get(id(layer)):
            return copy_layer(layer, _folded_weights(layer, norm.operation), use_bias=True)
        if node.kind == "BatchNormalization" and _last_axis(layer, node) and len(node.inputs[0].shape) == _MAP_RANK:
            return _as_depthwise(layer)
        return copy_layer(layer) if hasattr(layer, "get_weights") else layer

    def call(node: Node, args: Any, kwargs: Any) -> Any:
        if node.kind == "InputLayer" or id(node.operation) in folded:
            return args[0]
        made = copies.setdefault(id(node.operation), None) or make(node)
        copies[id(node.operation)] = made
        if node.kind == "BatchNormalization" and type(made).__name__ == "DepthwiseConv2D":
            return call_copy(made, args[0])
        return call_copy(made, *args, **kwargs)

    return rebuild(model, call)


def _folds(layer: Any, norm: Node) -> bool:
    """Whether a BatchNorm acts on the output channels of a layer, and nothing lies between."""
    channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
    return activation_name(layer) == "linear" and channels_last and _last_axis(norm.operation, norm)


def _last_axis(norm: Any, node: Node) -> bool:
    return norm.axis in (-1, len(node.inputs[0].shape) - 1)


def _affine(norm: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A BatchNorm at inference as a factor and a shift of each channel."""
    mean, variance = (np.asarray(value, np.float64) for value in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta, np.float64) if norm.center else np.zeros_like(mean)
    factor = gamma / np.sqrt(variance + norm.epsilon)
    return factor, beta - mean * factor


def _folded_weights(layer: Any, norm: Any) -> list[NDArray[Any]]:
    factor, shift = _affine(norm)
    kernel = np.asarray(layer.kernel, np.float64)
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
    return [
        (kernel * factor.reshape(channel_shape(layer))).astype(np.float32),
        (bias * factor + shift).astype(np.float32),
    ]


def _as_depthwise(norm: Any) -> Any:
    import keras

    factor, shift = _affine(norm)
    made = keras.layers.DepthwiseConv2D(1, name=norm.name)
    made._initial = [factor.reshape(1, 1, -1, 1).astype(np.float32), shift.astype(np.float32)]
    return made
