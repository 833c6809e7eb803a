"""Keras layers that round to integers in the forward pass, and pass gradients on (imported only where Keras is)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from kdcompress.quantization._description import KERNEL_LIMIT, LEVELS, SMALLEST, Grid
from kdcompress.quantization._folding import kernel_axes

_STORED = (
    127  # the largest int8: converters take a kernel's scale as range / 254, and leave integers above the limit out
)
DECAY = 0.99  # of the moving ranges


class ActivationRounding(keras.layers.Layer):  # type: ignore[misc]
    """Rounds a tensor to 8 bits over a range, which in training moves with the batches.

    Args:
        grid: The grid at the beginning.
        moves: Whether training moves the range.
        name: Name of the layer.
    """

    def __init__(self, grid: Grid, moves: bool, name: str) -> None:
        super().__init__(name=name)
        self.grid, self.moves = grid, moves
        self._peers: Callable[[], list[ActivationRounding]] = lambda: [self]  # in a list, Keras would track them
        low, high = grid.limits
        self.low = self.add_weight(name="low", shape=(), initializer=_constant(low), trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer=_constant(high), trainable=False)
        self.built = True

    def share_scale(self, peers: list[ActivationRounding]) -> None:
        """Take the largest scale of several layers.

        Args:
            peers: The layers, this one included.
        """
        self._peers = lambda: peers

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Round the inputs."""
        if training and self.moves:
            self._follow(inputs)
        return self.round(inputs)

    def round(self, inputs: Any) -> Any:
        """Round a tensor over the present range, which stays.

        Args:
            inputs: The tensor.

        Returns:
            The rounded tensor.
        """
        if not self.moves:
            return _round(inputs, *self.grid.limits)
        span = ops.max(ops.stack([peer.high - peer.low for peer in self._peers()]))
        scale = ops.maximum(span / LEVELS, SMALLEST)
        low = -ops.round(-self.low / scale) * scale
        return _round(inputs, low, low + LEVELS * scale)

    def _follow(self, inputs: Any) -> None:
        low, high = ops.minimum(ops.min(inputs), 0.0), ops.maximum(ops.max(inputs), 0.0)
        self.low.assign(DECAY * self.low + (1 - DECAY) * ops.stop_gradient(low))
        self.high.assign(DECAY * self.high + (1 - DECAY) * ops.stop_gradient(high))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape


class SharedRounding(keras.layers.Layer):  # type: ignore[misc]
    """Rounds a tensor over the range of another one, which it does not move.

    Keras gives its own `training` to every layer of a model that takes one, also where a call says False.

    Args:
        source: Layer with the range.
        name: Name of the layer.
    """

    def __init__(self, source: ActivationRounding, name: str) -> None:
        super().__init__(name=name)
        self._source: Callable[[], ActivationRounding] = lambda: source  # as an attribute, Keras would track it
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Round the inputs."""
        return self._source().round(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape


class KernelRounding(keras.layers.Layer):  # type: ignore[misc]
    """Computes a layer with its kernel rounded to integers.

    Args:
        layer: Built layer with the weights at the beginning.
        scales: Fixed scales; None takes those of the largest weight, at every step.
        per_tensor: Whether the kernel has one scale instead of one for each output channel.
        keep_zeros: Whether weights that are 0 at the beginning remain 0.
        keep_clusters: Whether weights that are equal at the beginning remain equal.
        name: Name of the layer.
    """

    def __init__(
        self,
        layer: Any,
        scales: NDArray[np.float32] | None,
        *,
        per_tensor: bool,
        keep_zeros: bool = False,
        keep_clusters: bool = False,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.layer, self.scales, self.per_tensor = layer, scales, per_tensor
        start = np.asarray(layer.kernel)
        self.keeps_zeros = keep_zeros and bool((start == 0).any())
        self._mask = (start != 0).astype(np.float32) if self.keeps_zeros else None
        self._members: NDArray[np.int64] | None = None
        if keep_clusters:
            values, self._members = _cluster(start)
            layer.weights[0].trainable = False
            self.centroids = self.add_weight(name="centroids", shape=values.shape, initializer=_constant(values))
        self.built = True

    @property
    def keeps_clusters(self) -> bool:
        """Whether equal weights remain equal."""
        return self._members is not None

    @property
    def kernel(self) -> Any:
        """The kernel before it is rounded."""
        kernel = self.layer.kernel if self._members is None else ops.take(self.centroids, self._members)
        return kernel if self._mask is None else kernel * self._mask

    def assign_weights(self, kernel: Any, bias: Any = None) -> None:
        """Take over weights that were trained elsewhere.

        Args:
            kernel: The kernel; where clusters are kept, it has at most as many values as before.
            bias: The bias, if the layer has one.
        """
        self.layer.weights[0].assign(kernel)
        if bias is not None:
            self.layer.bias.assign(bias)
        if self._members is not None:
            values, self._members = _cluster(np.asarray(kernel))
            self.centroids.assign(np.pad(values, (0, self.centroids.shape[0] - len(values)), mode="edge"))

    def call(self, inputs: Any) -> Any:
        """Compute the layer."""
        kernel = _round_kernel(self.kernel, self._limits(self.kernel), kernel_axes(self.layer))
        own = id(self.layer.weights[0])
        values = [kernel if id(weight) == own else weight for weight in self.layer.trainable_variables]
        fixed = [kernel if id(weight) == own else weight for weight in self.layer.non_trainable_variables]
        outputs, _ = self.layer.stateless_call(values, fixed, inputs)
        return outputs

    def _limits(self, kernel: Any) -> Any:
        """Range of the 8-bit integers in which those of the kernel lie, () or (channels,)."""
        if self.scales is not None:
            scales = ops.convert_to_tensor(self.scales)
        else:
            axes = kernel_axes(self.layer)
            positive = [axis % len(kernel.shape) for axis in axes]
            rest = None if self.per_tensor else [axis for axis in range(len(kernel.shape)) if axis not in positive]
            largest = ops.max(ops.abs(ops.stop_gradient(kernel)), axis=rest)
            scales = ops.maximum(largest / KERNEL_LIMIT, 1e-12)
        return _STORED * (ops.reshape(scales, ()) if self.per_tensor else ops.reshape(scales, (-1,)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the layer's outputs."""
        return self.layer.compute_output_shape(input_shape)


def _cluster(kernel: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The different values of a kernel, and which of them each weight has."""
    values, members = np.unique(kernel, return_inverse=True)
    return values, members.reshape(kernel.shape)


def _round_kernel(kernel: Any, limit: Any, axes: tuple[int, ...]) -> Any:
    """Round a kernel; TensorFlow's operator per channel takes the last axis only."""
    if len(limit.shape) == 0:
        return _round(kernel, -limit, limit, narrow_range=True)
    rounding = keras.quantizers.fake_quant_with_min_max_vars
    if axes == (2,):
        return rounding(kernel, -limit, limit, narrow_range=True, axis=2)
    flat = ops.reshape(kernel, (*kernel.shape[:2], -1)) if axes == (2, 3) else kernel
    return ops.reshape(rounding(flat, -limit, limit, narrow_range=True, axis=-1), kernel.shape)


def _round(values: Any, low: Any, high: Any, narrow_range: bool = False) -> Any:
    return keras.quantizers.fake_quant_with_min_max_vars(values, low, high, narrow_range=narrow_range)


def _constant(value: Any) -> Any:
    return lambda shape, dtype=None: ops.cast(ops.reshape(ops.convert_to_tensor(value), shape), dtype or "float32")
