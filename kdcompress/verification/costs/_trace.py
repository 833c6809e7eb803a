"""Tracing of a Keras model on one image: which layer created which TensorFlow operation, with which shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kdcompress.verification.costs._analytic import layer_macs
from kdcompress.verification.costs._base import Shape

# Layers without trained weights at the input: they prepare pixels and do not count as part of the network
_PREPROCESSING = frozenset(("Rescaling", "Normalization", "Resizing", "CenterCrop"))
# Operations that preprocess_input of keras.applications leaves in a functional model
_PIXEL_ARITHMETIC = frozenset({"Add", "Subtract", "Multiply", "Divide", "TrueDivide", "GetItem", "Stack", "Cast"})
# TensorFlow operations of which a Lambda layer's function may consist to be such arithmetic
_ARITHMETIC = frozenset(["Const", "Identity", "Cast", "Add", "AddV2", "Sub", "Mul", "RealDiv", "StridedSlice", "Pack"])


@dataclass
class Row:
    """Record of one layer's calls.

    Attributes:
        kind: Class of the layer.
        params: Number of its own weights, without those of sublayers.
        analytic: MACs computed from shapes.
    """

    kind: str
    params: int = 0
    analytic: int = 0


class Trace:
    """Calls of a model's layers on one image.

    Attributes:
        graph: TensorFlow graph of the trace.
        rows: Records by path of the layer, in network order; "" is the model itself.
        preprocessing: Names of the operations of the preprocessing.
        recurrent: Names of the operations of recurrent layers.
        unused: Names of the operations that the outputs do not need, such as the seeds of random layers.
    """

    def __init__(self, image: Any) -> None:
        self.graph = image.graph
        self.rows: dict[str, Row] = {}
        self.preprocessing: set[str] = set()
        self.recurrent: set[str] = set()
        self.unused: set[str] = set()
        self._owners: dict[str, str] = {}
        self._path: str | None = None
        self._pixels = {image.name}
        self._counted: set[int] = set()

    def owner(self, operation: str) -> str:
        """Return the path of the innermost layer that created the TensorFlow operation of this name."""
        return self._owners.get(operation, "")

    def call(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], original: Callable[..., Any]) -> Any:
        """Run and record one call of a layer or Keras operation.

        Args:
            layer: Layer or operation.
            args: Positional arguments of the call.
            kwargs: Keyword arguments of the call.
            original: The unpatched `__call__`.

        Returns:
            The result of the call.
        """
        import tensorflow as tf

        if tf.compat.v1.get_default_graph() is not self.graph:
            return original(layer, *args, **kwargs)  # in the body of a loop, which is reported itself
        outer, first = self._path, len(self.graph.get_operations())
        self._path = "" if outer is None else f"{outer}/{layer.name}".lstrip("/")
        row = self.rows.setdefault(self._path, Row(type(layer).__name__))
        with _unrolled(layer):
            result = original(layer, *args, **kwargs)
        created = [operation.name for operation in self.graph.get_operations()[first:]]
        for name in created:
            self._owners.setdefault(name, self._path)
        self._record(row, layer, [*args, *kwargs.values()], result, created)
        self._path = outer
        return result

    def _record(self, row: Row, layer: Any, args: list[Any], result: Any, created: list[str]) -> None:
        import keras

        row.params += self._own_params(layer)
        if isinstance(layer, keras.layers.RNN):
            self.recurrent |= set(created)
        leaves, outputs = keras.tree.flatten(args), [t for t in keras.tree.flatten(result) if hasattr(t, "shape")]
        if outputs:
            row.analytic += layer_macs(layer, [_shape(t) for t in leaves if hasattr(t, "shape")], _shape(outputs[0]))
        if self._is_preprocessing(layer, leaves, created):
            self._pixels |= {tensor.name for tensor in outputs}
            self.preprocessing |= set(created)

    def _own_params(self, layer: Any) -> int:
        """Count the weights that no sublayer has counted; sublayers are recorded first, since their calls end first."""
        own = [w for w in getattr(layer, "weights", ()) if id(w) not in self._counted]
        self._counted |= {id(w) for w in own}
        return sum(math.prod(w.shape) for w in own)

    def _is_preprocessing(self, layer: Any, leaves: list[Any], created: list[str]) -> bool:
        """Return whether a call's only input is the image, without trained weights."""
        name, module = type(layer).__name__, type(layer).__module__
        arithmetic = name in _PIXEL_ARITHMETIC and module.startswith("keras.src.ops.")
        if name == "Lambda":
            arithmetic = all(self.graph.get_operation_by_name(operation).type in _ARITHMETIC for operation in created)
        if not arithmetic and (name not in _PREPROCESSING or layer.trainable_weights):
            return False
        tensors = [leaf for leaf in leaves if hasattr(leaf, "graph")]
        has_variables = any(hasattr(leaf, "assign") for leaf in leaves)
        return bool(tensors) and not has_variables and all(self._is_image(tensor) for tensor in tensors)

    def _is_image(self, tensor: Any) -> bool:
        while tensor.name not in self._pixels and tensor.op.type in ("Identity", "Cast"):
            tensor = tensor.op.inputs[0]
        return tensor.name in self._pixels


def trace(model: Any, input_shape: Shape) -> Trace:
    """Trace a Keras model at inference on one float image.

    Args:
        model: A built model.
        input_shape: (H, W, C).

    Returns:
        The trace.
    """
    import tensorflow as tf

    traces: list[Trace] = []

    def forward(image: Any) -> Any:
        traces.append(Trace(image))
        with _patched_calls(traces[-1]), _inlined():
            return model(image, training=False)

    function = tf.function(forward, autograph=False, jit_compile=False)
    concrete = function.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))
    traces[-1].unused = _unused(concrete)
    return traces[-1]


def _unused(function: Any) -> set[str]:
    """Return the names of the operations whose results a function's outputs are not computed of."""
    needed: set[str] = set()
    pending = [tensor.op for tensor in function.outputs]
    while pending:
        if (operation := pending.pop()).name not in needed:
            needed.add(operation.name)
            pending += [tensor.op for tensor in operation.inputs]
    return {operation.name for operation in function.graph.get_operations()} - needed


@contextmanager
def _patched_calls(trace: Trace) -> Iterator[None]:
    """Route all calls of layers through the trace."""
    import keras

    original = keras.Operation.__call__
    keras.Operation.__call__ = lambda layer, *args, **kwargs: trace.call(layer, args, kwargs, original)
    try:
        yield
    finally:
        keras.Operation.__call__ = original


@contextmanager
def _inlined() -> Iterator[None]:
    """Inline functions inside the model: Keras wraps grouped convolutions in one for XLA."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def _unrolled(layer: Any) -> Iterator[None]:
    """Unroll a recurrent layer, since the body of a loop would be counted once or not at all."""
    import keras

    if not isinstance(layer, keras.layers.RNN):
        yield
        return
    before, layer.unroll = layer.unroll, True
    try:
        yield
    finally:
        layer.unroll = before


def _shape(tensor: Any) -> list[int]:
    return [int(size) for size in tensor.shape]
