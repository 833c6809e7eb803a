"""Twins in tf_keras of the Keras 3 layers whose kernels tensorflow-model-optimization wraps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kdcompress.compression.legacy.importing import import_tf_keras
from kdcompress.errors import ModelError

_SHARED = ("activation", "use_bias", "kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")
_CONVOLUTION = ("strides", "padding", "data_format", "dilation_rate")
# Attributes of the layer that its twin is made of. Activations, regularizers and constraints are handed over as the
# functions of Keras 3 that they are: under the same name, tf_keras may compute another (hard_sigmoid)
_ATTRIBUTES = {
    "Dense": ("units", *_SHARED),
    "Conv2D": ("filters", "kernel_size", *_CONVOLUTION, "groups", *_SHARED),
    "DepthwiseConv2D": (
        "kernel_size",
        *_CONVOLUTION,
        "depth_multiplier",
        "activation",
        "use_bias",
        "depthwise_regularizer",
        "bias_regularizer",
        "depthwise_constraint",
        "bias_constraint",
    ),
}


def has_twin(layer: Any) -> bool:
    """Whether a layer is one of Keras itself that has a twin; a subclass may compute something else.

    Args:
        layer: Keras 3 layer.
    """
    import keras

    return any(type(layer) is getattr(keras.layers, name) for name in _ATTRIBUTES)


def make_twin(layer: Any) -> Any:
    """Make the twin of a layer, with the same weights.

    Args:
        layer: Built Keras 3 layer of a class that `has_twin`.

    Returns:
        Built layer of tf_keras.

    Raises:
        ModelError: The layer has no twin, another dtype policy than float32, or weights in another form (LoRA, int8).
    """
    name = type(layer).__name__
    if not has_twin(layer):
        raise ModelError(
            f"layer {layer.name} must be one of {', '.join(sorted(_ATTRIBUTES))} to be wrapped by "
            f"tensorflow-model-optimization, got {name}; leave it out"
        )
    _check_weights(layer)
    settings = {key: getattr(layer, key) for key in _ATTRIBUTES[name]}
    twin = getattr(import_tf_keras().layers, name)(**settings, name=layer.name, trainable=layer.trainable)
    twin.build(_input_shape(layer))
    twin.set_weights([np.asarray(weight) for weight in layer.weights])
    return twin


def wrap_layer(layer: Any, wrap: Callable[[Any], Any]) -> Any:
    """Wrap the twin of a layer.

    Args:
        layer: Keras 3 layer.
        wrap: Makes a wrapper of tensorflow-model-optimization around a layer of tf_keras.

    Returns:
        The built wrapper; its `layer` is the twin.

    Raises:
        ModelError: The layer has no twin.
    """
    wrapper = wrap(make_twin(layer))
    wrapper.build(_input_shape(layer))
    return wrapper


def copy_back(values: Iterable[Any], layer: Any) -> None:
    """Assign the weights of a twin to its layer: by order, since their names differ.

    Args:
        values: Weights of a layer of tf_keras.
        layer: The Keras 3 layer that it was made of.
    """
    for weight, value in zip(layer.weights, values, strict=True):
        weight.assign(np.asarray(value))


def _check_weights(layer: Any) -> None:
    policy = layer.dtype_policy.name
    if policy != "float32" or getattr(layer, "lora_enabled", False):
        form = "LoRA" if policy == "float32" else policy
        raise ModelError(
            f"layer {layer.name} must have plain float32 weights to be compressed, got {form}; "
            "build the model with the dtype policy float32, its LoRA weights merged"
        )


def _input_shape(layer: Any) -> tuple[int | None, ...]:
    """A shape that fits the kernel; of an image, the sides are open."""
    kernel = tuple(layer.kernel.shape)
    if type(layer).__name__ == "Dense":
        return (None, kernel[0])
    channels = kernel[2] * getattr(layer, "groups", 1)
    return (None, channels, None, None) if layer.data_format == "channels_first" else (None, None, None, channels)
