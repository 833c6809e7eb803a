"""Storage of trained integers in ONNX graphs: int8 kernels and int32 biases between quantized activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.quantization import Quantization

_CHANNEL_AXES = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}
_PASSING = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Pad", "Identity", "Slice")
_OFF_GRID = 0.01  # distance of a weight from an integer, in steps, above which the kernel is not on the grid
_ROUNDING = 1e-6
_LARGEST = 127


def store_integers(model: Any, quantization: Quantization, layer_name: Callable[[str], str]) -> None:
    """Replace the kernels and biases of a graph by integers, in place.

    Kernels become int8, biases int32 with the product of the scales of input and kernel. Runtimes then compute
    convolutions and matrix products in integers, activations included.

    Args:
        model: ModelProto of a network with fake quantization, whose activations are quantized already and whose
            kernels are float and lie on the grid.
        quantization: Scales of the kernels.
        layer_name: Returns the layer in the name of a node.
    """
    graph = _Graph(model.graph)
    graph.shift_pixels()
    for node in list(model.graph.node):
        if node.op_type in _CHANNEL_AXES and node.input[1] in graph.weights:
            # Converters fuse nodes under names of their own, but keep those of weights
            names = [layer_name(name.split(":")[0]) for name in (node.name, *node.input[1:], *node.output)]
            named = [name for name in names if name in quantization.kernels]
            for name in dict.fromkeys([*named, *quantization.kernels]):
                if graph.store(node, np.array(quantization.kernels[name], np.float32)):
                    break
    graph.drop_clipping()
    graph.drop_unused()


def read_kernels(model: Any) -> Iterator[NDArray[np.int8]]:
    """Yield the int8 kernel of each convolution and matrix product of a graph, with the axis of outputs first.

    Args:
        model: ModelProto with int8 kernels.
    """
    graph = _Graph(model.graph)
    for node in model.graph.node:
        source = graph.producers.get(node.input[1]) if node.op_type in _CHANNEL_AXES else None
        if source is not None and source.op_type == "DequantizeLinear" and source.input[0] in graph.weights:
            kernel = np.moveaxis(graph.value(source.input[0]), _CHANNEL_AXES[node.op_type], 0)
            yield np.moveaxis(kernel, 1, -1)


class _Graph:
    """An ONNX graph that is changed in place, with an index of its nodes by the values that they compute."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.weights = {weight.name: weight for weight in graph.initializer}
        self._made: list[Any] = []
        self._index()

    def _index(self) -> None:
        self.producers = {name: node for node in self.graph.node for name in node.output}
        self.readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def value(self, name: str) -> NDArray[Any]:
        """Return the value of an initializer."""
        import onnx

        return np.asarray(onnx.numpy_helper.to_array(self.weights[name]))

    def _scalar(self, name: str) -> float:
        """Return the value of an initializer of one element; NaN for others."""
        value = self.value(name)
        return float(value.item()) if value.size == 1 else float("nan")

    def store(self, node: Any, scales: NDArray[np.float32]) -> bool:
        """Store the kernel and the bias of a node as integers; returns whether it lies on the grid of the scales."""
        axis = _CHANNEL_AXES[node.op_type]
        kernel = self.value(node.input[1]).astype(np.float64)
        shape = [1] * kernel.ndim
        if len(scales) > 1:
            shape[axis] = -1
        if len(scales) not in (1, kernel.shape[axis]):
            return False
        steps = kernel / scales.astype(np.float64).reshape(shape)
        integers = np.rint(steps)
        if np.abs(steps - integers).max() > _OFF_GRID or np.abs(integers).max() > _LARGEST:
            return False
        node.input[1] = self._dequantize(node.input[1], integers.astype(np.int8), scales, axis)
        self._store_bias(node, scales)
        return True

    def _store_bias(self, node: Any, scales: NDArray[np.float32]) -> None:
        input_scale = self._input_scale(node)
        addition = self._addition(node) if node.op_type == "MatMul" else None
        if addition is not None:
            bias = next(name for name in addition.input if name in self.weights)
            node.op_type, node.output[0] = "Gemm", addition.output[0]
            node.input.append(bias)
            self.graph.node.remove(addition)
            self._index()
        if len(node.input) < 3 or input_scale is None:
            return
        values = self.value(node.input[2]).reshape(-1).astype(np.float64)
        steps = (scales.astype(np.float64) * input_scale).astype(np.float32)
        integers = np.rint(values / steps.astype(np.float64)).astype(np.int32)
        node.input[2] = self._dequantize(f"{node.input[2]}_{node.name}", integers, steps, 0)

    def _addition(self, node: Any) -> Any:
        """The addition of a bias behind a product of a batch of rows, which Gemm computes as well; None otherwise."""
        readers = self.readers.get(node.output[0], [])
        if len(readers) != 1 or readers[0].op_type != "Add":
            return None
        channels = self.value_shape(node.input[1])[-1]
        fits = any(name in self.weights and self.value(name).size == channels for name in readers[0].input)
        return readers[0] if fits else None

    def value_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a dequantized kernel."""
        made = next(node for node in self._made if node.output[0] == name)
        return tuple(self.weights[made.input[0]].dims)

    def _input_scale(self, node: Any) -> float | None:
        """Scale of the input of a node, past operations that keep its grid."""
        source = self.producers.get(node.input[0])
        while source is not None and source.op_type in _PASSING:
            source = self.producers.get(source.input[0])
        if source is None or source.op_type != "DequantizeLinear":
            return None
        return self._scalar(source.input[1])

    def _dequantize(self, name: str, integers: NDArray[Any], scales: NDArray[np.float32], axis: int) -> str:
        """Add integers with their scales, and return the name of their real values."""
        import onnx

        per_tensor = scales.size == 1
        scale = scales.reshape(()) if per_tensor else scales
        names = [f"{name}_{part}" for part in ("integers", "scale", "zero")]
        if (output := f"{name}_real") in {node.output[0] for node in self._made}:
            return output
        for key, value in zip(names, (integers, scale, np.zeros(scale.shape, integers.dtype)), strict=True):
            tensor = onnx.numpy_helper.from_array(np.ascontiguousarray(value) if value.ndim else value, key)
            self.graph.initializer.append(tensor)
            self.weights[key] = tensor
        attributes = {} if per_tensor else {"axis": axis}
        made = onnx.helper.make_node("DequantizeLinear", names, [output], name=f"{name}_dequantize", **attributes)
        self._made.append(made)
        return output

    def shift_pixels(self) -> None:
        """Let the zero point of the pixels stand for the subtraction of an integer from them."""
        for last in [node for node in self.graph.node if node.op_type == "DequantizeLinear"]:
            path = list(self._upstream(last))
            kinds = [node.op_type for node in path]
            if kinds in (_SHIFT, _SHIFT[:3] + _SHIFT[4:]) and self._keeps_integers(path):
                last.input[0] = path[-1].output[0]
        self._index()

    def _upstream(self, node: Any) -> Iterator[Any]:
        """Yield a node and those before it, up to and including the first quantization of the image."""
        for _ in _SHIFT:
            yield node
            sources = [self.producers[name] for name in node.input if name in self.producers]
            if len(sources) != 1:
                return
            node = sources[0]

    def _keeps_integers(self, path: list[Any]) -> bool:
        """Whether a path quantizes pixels by a scale of 1, shifts them by a zero point, and quantizes them again."""
        scales = [self._scalar(node.input[1]) for node in path if node.op_type.endswith("Linear")]
        factors = [self._scalar(_constant(node, self.weights)) for node in path if node.op_type == "Mul"]
        (shift,) = (self._scalar(_constant(node, self.weights)) for node in path if node.op_type == "Add")
        return {*scales, *factors} == {1.0} and shift == -self._scalar(path[0].input[2])

    def drop_clipping(self) -> None:
        """Remove ReLU and ReLU6 before a quantization that clips as they do; runtimes fuse only without them."""
        for node in [node for node in self.graph.node if node.op_type in ("Relu", "Clip")]:
            readers = self.readers.get(node.output[0], [])
            if readers and all(self._clips(node, reader) for reader in readers):
                for reader in readers:
                    reader.input[0] = node.input[0]
                self.graph.node.remove(node)
                self._index()

    def _clips(self, node: Any, reader: Any) -> bool:
        if reader.op_type != "QuantizeLinear" or self._scalar(reader.input[2]) != 0:
            return False
        if node.op_type == "Relu":
            return True
        low, high = (self._scalar(name) for name in node.input[1:3])
        return low == 0 and 255 * self._scalar(reader.input[1]) <= high * (1 + _ROUNDING)

    def drop_unused(self) -> None:
        """Remove nodes and weights that nothing reads, and put the new nodes first."""
        nodes = [*self._made, *self.graph.node]
        kept: list[Any] = []
        needed = {value.name for value in self.graph.output}
        for node in reversed(nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(_copy(node))
        weights = [_copy(weight) for weight in self.graph.initializer if weight.name in needed]
        inputs = [_copy(value) for value in self.graph.input if value.name in needed]
        for field, items in (("node", kept[::-1]), ("initializer", weights), ("input", inputs)):
            del getattr(self.graph, field)[:]
            getattr(self.graph, field).extend(items)


_SHIFT = ["DequantizeLinear", "QuantizeLinear", "Add", "Mul", "DequantizeLinear", "QuantizeLinear"]


def _constant(node: Any, weights: dict[str, Any]) -> str:
    return next(str(name) for name in node.input if name in weights)


def _copy(message: Any) -> Any:
    copied = type(message)()
    copied.CopyFrom(message)
    return copied
