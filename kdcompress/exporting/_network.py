"""Freezing of a Keras model to one graph from `image` to `logits`, from which every format is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data import iter_blocks
from kdcompress.errors import KDCompressError, ModelError, one_line
from kdcompress.exporting._float32 import FLOAT32, find_policy, rebuild_in_float32
from kdcompress.exporting._float32_graph import convert_to_float32, find_float_types
from kdcompress.exporting._freezing import allow_inlining, fix_reshapes, freeze_function
from kdcompress.models import Forward, model_digest
from kdcompress.quantization import Quantization

INPUT, OUTPUT = "image", "logits"
_MAX_NAMES = 3  # layers that a message names


@dataclass(frozen=True, eq=False)
class Network:
    """A frozen inference graph that contains its weights, and no teacher, optimizer or training step.

    Attributes:
        model: The Keras model; one of another dtype policy is rebuilt in float32.
        digest: Digest of the architecture and weights of the model before that.
        function: TensorFlow function from image, float32 in [0, 255], (n, H, W, C) for any n, to
            {"logits": (n, classes)}.
        input_shape: (H, W, C).
        layers: Names of the layers, for error messages.
        policy: Dtype policy of the model before that, such as "mixed_float16".
        quantization: Trained integers of the model, which int8 files then hold; None calibrates them.
    """

    model: Any
    digest: str
    function: Any
    input_shape: tuple[int, int, int]
    layers: frozenset[str]
    policy: str = FLOAT32
    quantization: Quantization | None = None

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Compute the outputs of images, batch by batch.

        Args:
            images: (n, H, W, C).

        Returns:
            Shape (n, classes).
        """
        if hasattr(self.model, "weights"):
            return Forward(self.model)(images)
        blocks = iter_blocks(images, default_batch_size(images.shape[1:]))
        return np.concatenate([self.function(block.astype(np.float32))[OUTPUT].numpy() for block in blocks])

    @property
    def signature(self) -> Any:
        """TensorSpec of the function's input."""
        return _signature(self.input_shape)

    def locate_operator(self, operator: str, dtype: str | None = None) -> str:
        """Describe where in the network an operator is.

        Args:
            operator: Type of a TensorFlow operation.
            dtype: Data type of its result, such as "float64", if only such ones are meant.

        Returns:
            " of layer NAME", or of several layers; " (NODE)" for one outside of layers; "" if there is none.
        """
        operations = self.function.get_concrete_function().graph.get_operations()
        of_type = [operation for operation in operations if operation.type == operator]
        fitting = [operation for operation in of_type if dtype in {t.dtype.name for t in operation.outputs}] or of_type
        nodes = list(dict.fromkeys(self.layer_name(operation.name) for operation in fitting))
        names = [name for name in nodes if name in self.layers]
        if names:
            more = f" or {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
            return f" of layer {' or '.join(names[:_MAX_NAMES])}{more}"
        return f" ({nodes[0]})" if nodes else ""

    def layer_name(self, node: str) -> str:
        """Extract the innermost layer from the name of a node.

        Args:
            node: Name such as "model_1/block_1/conv_1/Conv2D".

        Returns:
            Name of the layer ("conv"); that of the node if it contains no layer.
        """
        return _layer_name(node, self.layers)


def freeze(
    model: Any,
    input_shape: tuple[int, int, int],
    name: str = "the model",
    digest: str | None = None,
    quantization: Quantization | None = None,
) -> Network:
    """Freeze a model for batches of any size, in float32 whatever its dtype policy.

    Args:
        model: Keras model, or a callable with the same signature.
        input_shape: (H, W, C).
        name: Name of the model in errors.
        digest: Digest of a model that is not a Keras model; by default it is computed.
        quantization: Trained integers of the model.

    Returns:
        The network.

    Raises:
        ModelError: The output is not one row of numbers per image, or the model has another dtype policy and cannot be
            rebuilt in float32.
    """
    import tensorflow as tf

    policy, digest = find_policy(model), digest or model_digest(model)
    if policy != FLOAT32:
        model = rebuild_in_float32(model, input_shape, name)
    frozen, definition = freeze_function(trace(model, input_shape, name))
    if not hasattr(model, "weights") and (types := find_float_types(definition)):  # a SavedModel
        policy = types
        convert_to_float32(definition)
    fix_reshapes(frozen.graph, definition)
    allow_inlining(definition)
    logits = frozen.outputs[0]

    def forward(image: Any) -> dict[str, Any]:
        feed = {frozen.inputs[0].name: image}
        (output,) = tf.graph_util.import_graph_def(definition, feed, [logits.name], name="")
        return {OUTPUT: tf.ensure_shape(output, (None, logits.shape[-1]))}

    function = tf.function(forward, input_signature=[_signature(input_shape)], jit_compile=False)
    return Network(model, digest, function, input_shape, frozenset(_names(model)), policy, quantization)


def trace(model: Any, input_shape: tuple[int, int, int], name: str = "the model") -> Any:
    """Trace a model in inference mode; its weights remain variables, and nothing is assigned to a variable.

    Args:
        model: Keras model, or a callable with the same signature.
        input_shape: (H, W, C).
        name: Name of the model in errors.

    Returns:
        Concrete TensorFlow function from `image` to {"logits"}.

    Raises:
        ModelError: The output is not one row of numbers per image.
    """
    import keras
    import tensorflow as tf

    # Random layers of Keras advance their seeds at inference, too; the scope keeps both out of the graph
    weights = {id(weight) for weight in getattr(model, "weights", [])}
    states = [variable for variable in getattr(model, "variables", []) if id(variable) not in weights]
    constants = [(variable, np.asarray(variable)) for variable in states if isinstance(variable, keras.Variable)]

    def forward(image: Any) -> dict[str, Any]:
        with keras.StatelessScope(constants):
            output = model(image, training=False)
        _check_output(output, name)
        _check_batch(image.graph, output, name, frozenset(_names(model)))
        return {OUTPUT: tf.cast(output, tf.float32)}

    function = tf.function(forward, autograph=False, jit_compile=False)
    try:
        return function.get_concrete_function(_signature(input_shape))
    except KDCompressError:
        raise
    except Exception as exc:  # layers raise anything
        size = "x".join(map(str, input_shape))
        raise ModelError(f"{name} fails on an image of {size}: {one_line(exc)}") from exc


def _check_output(output: Any, name: str) -> None:
    if isinstance(output, dict | list | tuple):
        raise ModelError(f"{name} has {len(output)} outputs; it must give one: a row of logits for each image")
    shape = output.shape.as_list()
    if len(shape) != 2:
        sizes = "x".join("?" if size is None else str(size) for size in shape[1:])
        raise ModelError(f"{name} gives {sizes} numbers an image; it must give a row of logits, one for each class")


def _check_batch(graph: Any, output: Any, name: str, layers: frozenset[str]) -> None:
    """Check that the output has a row for each image, however many there are."""
    if (size := output.shape[0]) is None:
        return
    fixed = (operation for operation in graph.get_operations() if _fixes_batch(operation))
    where = next((f" at {_layer_name(operation.name, layers)}" for operation in fixed), "")
    raise ModelError(
        f"{name} must take any number of images, and has a batch size of {size} built in{where}; leave the batch open, "
        "e.g. with keras.layers.Reshape or Flatten, or -1 as the first size"
    )


def _fixes_batch(operation: Any) -> bool:
    open_inputs = [tensor for tensor in operation.inputs if tensor.shape.rank and tensor.shape[0] is None]
    shapes = [tensor.shape for tensor in operation.outputs]
    return bool(open_inputs) and any((shape.rank or 0) > 1 and shape[0] is not None for shape in shapes)


def _layer_name(node: str, layers: frozenset[str]) -> str:
    for part in reversed(node.split("/")):
        # Keras appends the number of the call: "dense_1" is a call of "dense", even if there is a layer "dense_1", too
        for name in (re.sub(r"_\d+$", "", part), part):
            if name in layers:
                return name
    return node


def _signature(input_shape: tuple[int, int, int]) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, *input_shape), tf.float32, name=INPUT)


def _names(model: Any) -> Iterable[str]:
    for layer in getattr(model, "layers", []):
        yield layer.name
        yield from _names(layer)
