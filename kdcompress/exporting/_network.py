"""What is exported: the model as one frozen graph from `image` to `logits`, the same for every format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.models import model_digest

INPUT, OUTPUT = "image", "logits"


@dataclass(frozen=True, eq=False)
class Network:
    """A frozen graph, inference only, weights inside: no teacher, no optimizer, no training step.

    `function` maps image (n, H, W, C) float32, 0 to 255, any n, to {"logits": (n, classes)}; `digest` names the model;
    `layers` are the names of its layers, by which errors speak.
    """

    model: Any
    digest: str
    function: Any
    input_shape: tuple[int, int, int]
    layers: frozenset[str]

    @property
    def signature(self) -> Any:
        """The tensor that the function takes."""
        return _signature(self.input_shape)

    def find_layer_by_type(self, operator: str) -> str | None:
        """The layer in which the first operator of that type stands, or None if the graph has none."""
        for node in self.function.get_concrete_function().graph.as_graph_def().node:
            if node.op == operator:
                return self.layer_name(node.name)
        return None

    def layer_name(self, node: str) -> str:
        """The innermost layer in the name of a graph's node (`model_1/block_1/conv_1/Conv2D` -> `conv`)."""
        for part in reversed(node.split("/")):
            for name in (part, re.sub(r"_\d+$", "", part)):
                if name in self.layers:
                    return name
        return node


def freeze(
    model: Any, input_shape: tuple[int, int, int], what: str = "the model", digest: str | None = None
) -> Network:
    """The network of a Keras model for images of `input_shape`, in batches of any size.

    `digest` is that of a model which is none of Keras's, but is called as one.

    Errors: ModelError, which speaks of the model by `what`, unless it gives one row of at least two logits an image.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    frozen, definition = convert_variables_to_constants_v2_as_graph(trace(model, input_shape, what))
    _fix_reshapes(frozen.graph, definition)
    logits = frozen.outputs[0]

    def forward(image: Any) -> dict[str, Any]:
        feed = {frozen.inputs[0].name: image}
        (output,) = tf.graph_util.import_graph_def(definition, feed, [logits.name], name="")
        return {OUTPUT: tf.ensure_shape(output, (None, logits.shape[-1]))}

    function = tf.function(forward, input_signature=[_signature(input_shape)], jit_compile=False)
    return Network(model, digest or model_digest(model), function, input_shape, frozenset(_names(model)))


def trace(model: Any, input_shape: tuple[int, int, int], what: str = "the model") -> Any:
    """The model in inference mode as a TensorFlow function from `image` to {"logits"}, its weights still variables."""
    import tensorflow as tf

    def forward(image: Any) -> dict[str, Any]:
        output = model(image, training=False)
        _check_output(output, what)
        return {OUTPUT: tf.cast(output, tf.float32)}

    return tf.function(forward, autograph=False, jit_compile=False).get_concrete_function(_signature(input_shape))


def _check_output(output: Any, what: str) -> None:
    if isinstance(output, dict | list | tuple):
        raise ModelError(f"{what} has {len(output)} outputs; it must give one: a row of logits for each image")
    shape = output.shape.as_list()
    if len(shape) != 2:
        sizes = "x".join("?" if size is None else str(size) for size in shape[1:])
        raise ModelError(f"{what} gives {sizes} numbers an image; it must give a row of logits, one for each class")
    if shape[1] == 1:
        raise ModelError(
            f"{what} gives one number an image; it must give one logit for each class, also of two "
            "(a sigmoid's logit z is the pair 0, z)"
        )


def _signature(input_shape: tuple[int, int, int]) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((None, *input_shape), tf.float32, name=INPUT)


def _fix_reshapes(graph: Any, definition: Any) -> None:
    """Give every reshape whose result is known but for the batch a constant shape, -1 for the batch.

    TensorFlow works these shapes out at run time; converted, they become chains of small operators that cost time,
    hinder quantization, and are beyond what micro-controllers run.
    """
    import tensorflow as tf

    nodes = {node.name: node for node in definition.node}
    for operation in graph.get_operations():
        if operation.type != "Reshape" or operation.inputs[1].op.type == "Const":
            continue
        shape = operation.outputs[0].shape
        if shape.rank is None or sum(size is None for size in shape) != 1:
            continue
        constant = definition.node.add(name=f"{operation.name}/fixed_shape", op="Const")
        constant.attr["dtype"].type = tf.int32.as_datatype_enum
        sizes = np.array([-1 if size is None else size for size in shape], np.int32)
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(sizes))
        node = nodes[operation.name]
        node.input[1] = constant.name
        node.attr["Tshape"].type = tf.int32.as_datatype_enum


def _names(model: Any) -> Iterable[str]:
    for layer in getattr(model, "layers", []):
        yield layer.name
        yield from _names(layer)
