"""One trace of a Keras model on one image: which layer made which TensorFlow operation, and with what shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kdcompress.verification.costs._analytic import layer_macs
from kdcompress.verification.costs._base import Shape

# Weightless layers at the entrance: they scale pixels, and are no part of the network whose FLOPs are compared.
_PREPROCESSING = frozenset(("Rescaling", "Normalization", "Resizing", "CenterCrop"))
# What keras.applications' preprocess_input leaves in a functional model.
_PIXEL_ARITHMETIC = frozenset({"Add", "Subtract", "Multiply", "Divide", "TrueDivide", "GetItem", "Stack", "Cast"})


@dataclass
class Row:
    """What is known of one layer from its calls: class, own weights, MACs from its shapes."""

    kind: str
    params: int = 0
    analytic: int = 0


class Trace:
    """The calls of a model's layers on one image, by path ("" is the model itself), in the order of the network."""

    def __init__(self, image: Any) -> None:
        self.graph = image.graph
        self.rows: dict[str, Row] = {}
        self.preprocessing: set[str] = set()  # names of operations
        self._owners: dict[str, str] = {}
        self._path: str | None = None
        self._pixels = {image.name}
        self._claimed: set[int] = set()

    def owner(self, operation: str) -> str:
        """The path of the innermost layer that made a TensorFlow operation."""
        return self._owners.get(operation, "")

    def call(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], original: Callable[..., Any]) -> Any:
        """Run one call of a layer or Keras operation, and note what it made."""
        import tensorflow as tf

        if tf.compat.v1.get_default_graph() is not self.graph:
            return original(layer, *args, **kwargs)  # inside a loop's body: the loop itself is reported
        outer, first = self._path, len(self.graph.get_operations())
        self._path = "" if outer is None else f"{outer}/{layer.name}".lstrip("/")
        row = self.rows.setdefault(self._path, Row(type(layer).__name__))
        with _unrolled(layer):
            result = original(layer, *args, **kwargs)
        made = [operation.name for operation in self.graph.get_operations()[first:]]
        for name in made:
            self._owners.setdefault(name, self._path)
        self._note(row, layer, [*args, *kwargs.values()], result, made)
        self._path = outer
        return result

    def _note(self, row: Row, layer: Any, args: list[Any], result: Any, made: list[str]) -> None:
        import keras

        row.params += self._own_params(layer)
        leaves, outputs = keras.tree.flatten(args), [t for t in keras.tree.flatten(result) if hasattr(t, "shape")]
        if outputs:
            row.analytic += layer_macs(layer, [_shape(t) for t in leaves if hasattr(t, "shape")], _shape(outputs[0]))
        if self._scales_pixels(layer, leaves):
            self._pixels |= {tensor.name for tensor in outputs}
            self.preprocessing |= set(made)

    def _own_params(self, layer: Any) -> int:
        """Weights that no layer inside has claimed: those are noted first, since their calls end first."""
        mine = [w for w in getattr(layer, "weights", ()) if id(w) not in self._claimed]
        self._claimed |= {id(w) for w in mine}
        return sum(math.prod(w.shape) for w in mine)

    def _scales_pixels(self, layer: Any, leaves: list[Any]) -> bool:
        """Whether a call sees the image alone, and nothing that was learned."""
        name, module = type(layer).__name__, type(layer).__module__
        arithmetic = name in _PIXEL_ARITHMETIC and module.startswith("keras.src.ops.")
        if not arithmetic and (name not in _PREPROCESSING or layer.trainable_weights):
            return False
        tensors = [leaf for leaf in leaves if hasattr(leaf, "graph")]
        learned = any(hasattr(leaf, "assign") for leaf in leaves)
        return bool(tensors) and not learned and all(self._is_image(tensor) for tensor in tensors)

    def _is_image(self, tensor: Any) -> bool:
        while tensor.name not in self._pixels and tensor.op.type in ("Identity", "Cast"):
            tensor = tensor.op.inputs[0]
        return tensor.name in self._pixels


def trace(model: Any, input_shape: Shape) -> Trace:
    """Trace a built Keras model on one float image of (H, W, C) at inference."""
    import tensorflow as tf

    traces: list[Trace] = []

    def forward(image: Any) -> Any:
        traces.append(Trace(image))
        with _listening(traces[-1]), _inlined():
            return model(image, training=False)

    function = tf.function(forward, autograph=False, jit_compile=False)
    function.get_concrete_function(tf.TensorSpec((1, *input_shape), tf.float32))
    return traces[-1]


@contextmanager
def _listening(trace: Trace) -> Iterator[None]:
    import keras

    original = keras.Operation.__call__
    keras.Operation.__call__ = lambda layer, *args, **kwargs: trace.call(layer, args, kwargs, original)
    try:
        yield
    finally:
        keras.Operation.__call__ = original


@contextmanager
def _inlined() -> Iterator[None]:
    """Functions inside the model become plain operations: Keras hides grouped convolutions in one for XLA."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def _unrolled(layer: Any) -> Iterator[None]:
    """A recurrent layer as its steps, one after the other: the body of a loop would be counted once, or never."""
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
