"""Inference of Keras models, shared by teachers, validation, test and prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data import Images, iter_blocks


class Forward:
    """A Keras model as a function from raw pixels to outputs, in inference mode.

    Weights, BatchNorm statistics and the seeds of random layers stay unchanged. Images are converted to float32, as in
    training, and run in batches of a fixed size (see `default_batch_size`); images on disk are read batch by batch.

    Args:
        model: A Keras model.
        traced: Whether a graph is made, which takes as long as several batches and pays from then on.
    """

    def __init__(self, model: Any, traced: bool = True) -> None:
        import tensorflow as tf

        def run(images: Any) -> Any:
            outputs = model(images, training=False)
            forget_custom_gradients()
            return outputs

        # Batches of all sizes share one trace
        self._run: Any = tf.function(run, jit_compile=False, reduce_retracing=True) if traced else run
        self._traced = traced

    def __call__(self, images: Images | NDArray[np.generic]) -> NDArray[np.float32]:
        """Run the model.

        Args:
            images: Raw pixels, (n, H, W, C), 0 to 255.

        Returns:
            Outputs, (n, ...), such as logits (n, classes).
        """
        import tensorflow as tf

        def run(block: NDArray[np.generic]) -> NDArray[np.float32]:
            return np.asarray(self._run(tf.cast(tf.convert_to_tensor(block), tf.float32)), dtype=np.float32)

        shape = tuple(images.shape[1:])
        size = default_batch_size(shape)
        if self._traced and len(images) > size and len(images) % size:  # one graph for both sizes
            self._run.get_concrete_function(tf.TensorSpec((None, *shape), tf.float32))
        return np.concatenate([run(block) for block in iter_blocks(images, size)])


def forget_custom_gradients() -> None:
    """Unregister the custom gradients of the graph being traced, so that the graph can be freed.

    Call it at the end of a trace whose gradients have been taken or are not needed. TensorFlow registers the gradient
    function of every `tf.custom_gradient` under a new name for the life of the process, and with it the whole graph
    (tensorflow#97697): each training, whose optimizer has one in `all_reduce`, would leak megabytes. Functions traced
    inside this graph, which may be used again, keep theirs.
    """
    import tensorflow as tf
    from tensorflow.python.framework import ops

    registered = getattr(getattr(ops, "gradient_registry", None), "_registry", None)
    if tf.executing_eagerly() or registered is None:
        return
    for operation in tf.compat.v1.get_default_graph().get_operations():
        if operation.type == "IdentityN":  # the operation that carries a custom gradient
            registered.pop(_gradient_name(operation), None)


def _gradient_name(operation: Any) -> str:
    """Return the name under which an operation's gradient is registered; "" if it has the gradient of its type."""
    try:
        return str(operation.get_attr("_gradient_op_type").decode())
    except ValueError:
        return ""
