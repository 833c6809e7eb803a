"""An int8 network in exact integers: what its files must compute, and whether pairs of products would saturate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass
class Real:
    """Real numbers as integers times a scale (by channel, along axis 1)."""

    integers: Ints
    scale: NDArray[np.float32]


@dataclass
class Oracle:
    """Runs the ONNX file of a dense or convolutional stack in 64-bit integers.

    Attributes:
        graph: Graph of DequantizeLinear, operator, QuantizeLinear.
        largest_pair: Largest |sum| of two products that lie beside each other, as kernels without VNNI add them.
    """

    graph: Any
    largest_pair: int = 0
    values: dict[str, Any] = field(default_factory=dict)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        self.values = {w.name: onnx.numpy_helper.to_array(w) for w in self.graph.initializer}
        self.values[self.graph.input[0].name] = images.astype(np.float32)
        for node in self.graph.node:
            arguments = [self.values[name] if name else None for name in node.input]
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            self.values[node.output[0]] = getattr(self, node.op_type)(*arguments, **attributes)
        logits = self.values[self.graph.output[0].name]
        return np.asarray(logits.integers.astype(np.float32) * logits.scale, np.float32)

    def QuantizeLinear(self, x: Any, scale: Any, zero_point: Any, axis: int = 1) -> Ints:
        if isinstance(x, Real):  # accumulators: one multiplication in float32, rounded to even, as both runtimes do
            factor = np.asarray(x.scale / scale, np.float32)
            factor = factor.reshape(1, -1, *[1] * (x.integers.ndim - 2)) if factor.ndim else factor
            real = x.integers.astype(np.float32) * factor
        else:
            real = x / scale
        limits = np.iinfo(zero_point.dtype)
        return np.clip(np.rint(real).astype(np.int64) + int(zero_point), limits.min, limits.max)

    def DequantizeLinear(self, x: Ints, scale: Any, zero_point: Any, axis: int = 1) -> Real:
        return Real(x.astype(np.int64) - zero_point.astype(np.int64).reshape(-1)[0], np.asarray(scale, np.float32))

    def _bias(self, total: Ints, x: Real, kernel: Real, bias: Real | None) -> Real:
        scale = np.asarray(x.scale * kernel.scale, np.float32)
        if bias is None:
            return Real(total, scale)
        assert np.array_equal(bias.scale, scale), "the scale of a bias is that of the products"
        return Real(total + bias.integers.reshape(1, -1, *[1] * (total.ndim - 2)), scale)

    def MatMul(self, x: Real, kernel: Real) -> Real:
        return self.Gemm(x, kernel)

    def Gemm(self, x: Real, kernel: Real, bias: Real | None = None) -> Real:
        self._look_at_pairs(x.integers, kernel.integers)
        return self._bias(x.integers @ kernel.integers, x, kernel, bias)

    def Conv(self, x: Real, kernel: Real, bias: Real | None = None, **attributes: Any) -> Real:
        pads, strides = attributes.get("pads", [0] * 4), attributes.get("strides", [1, 1])
        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise NotImplementedError(attributes["auto_pad"])
        padded = np.pad(x.integers, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
        windows = sliding_window_view(padded, kernel.integers.shape[2:], axis=(2, 3))[
            :, :, :: strides[0], :: strides[1]
        ]
        if attributes.get("group", 1) > 1:
            per_input = kernel.integers.shape[0] // x.integers.shape[1]
            windows = np.repeat(windows, per_input, axis=1)
            total = np.einsum("nchwij,cij->nchw", windows, kernel.integers[:, 0])
        else:
            rows = windows.transpose(0, 2, 3, 4, 5, 1)  # channels innermost, as runtimes pair them
            columns = kernel.integers.transpose(2, 3, 1, 0)
            flat = rows.reshape(*rows.shape[:3], -1), columns.reshape(-1, columns.shape[-1])
            self._look_at_pairs(flat[0].reshape(-1, flat[0].shape[-1]), flat[1])
            total = (flat[0] @ flat[1]).transpose(0, 3, 1, 2)
        return self._bias(total, x, kernel, bias)

    def MaxPool(self, x: Real, **attributes: Any) -> Real:
        strides = attributes.get("strides", [1, 1])
        windows = sliding_window_view(x.integers, attributes["kernel_shape"], axis=(2, 3))
        return Real(windows[:, :, :: strides[0], :: strides[1]].max((-1, -2)), x.scale)

    def GlobalAveragePool(self, x: Real) -> Real:
        height, width = x.integers.shape[2:]
        total = x.integers.sum((2, 3), keepdims=True)
        return Real(total, np.asarray(x.scale / np.float32(height * width), np.float32))

    def Add(self, x: Real, y: Real) -> Real:
        assert x.scale == y.scale
        return Real(x.integers + y.integers, x.scale)

    def Reshape(self, x: Real, shape: Any, **attributes: Any) -> Real:
        return Real(x.integers.reshape([len(x.integers) if size == -1 else size for size in shape]), x.scale)

    def Transpose(self, x: Real, perm: Any) -> Real:
        return Real(x.integers.transpose(perm), x.scale)

    def Squeeze(self, x: Real, axes: Any) -> Real:
        return Real(x.integers.squeeze(tuple(int(axis) for axis in axes)), x.scale)

    def _look_at_pairs(self, rows: Ints, columns: Ints) -> None:
        """Products of unsigned activations; zero points are taken off later, outside of the 16-bit sums."""
        rows = rows[:16] - rows.min()
        even = len(columns) // 2 * 2
        products = rows[:, :even, None] * columns[None, :even]
        pairs = products.reshape(len(rows), even // 2, 2, -1).sum(2)
        self.largest_pair = max(self.largest_pair, int(np.abs(pairs).max()))
