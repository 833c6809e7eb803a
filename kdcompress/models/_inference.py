"""Running a model in inference mode, the one way for teachers, validation, test and predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data import Images, iter_blocks


class Forward:
    """A Keras model as a function from raw pixels (n, H, W, C), 0 to 255, to its outputs (n, classes).

    Inference mode: weights, BatchNorm statistics and the seeds of random layers stay as they are. Images arrive in the
    model as float32, as in training. Whatever n is, they go through in batches of one size (256 of small images, fewer
    of large ones), so results do not depend on it; images on disk are read batch by batch.
    """

    def __init__(self, model: Any) -> None:
        import tensorflow as tf

        def run(images: Any) -> Any:
            outputs = model(images, training=False)
            forget_custom_gradients()
            return outputs

        # Batches of all sizes share a trace.
        self._run = tf.function(run, jit_compile=False, reduce_retracing=True)

    def __call__(self, images: Images | NDArray[np.generic]) -> NDArray[np.float32]:
        """The outputs of all images."""
        import tensorflow as tf

        def run(block: NDArray[np.generic]) -> NDArray[np.float32]:
            return np.asarray(self._run(tf.cast(tf.convert_to_tensor(block), tf.float32)), dtype=np.float32)

        return np.concatenate([run(block) for block in iter_blocks(images, default_batch_size(images.shape[1:]))])


def forget_custom_gradients() -> None:
    """Let the graph that is being traced be freed with the last function that uses it.

    To be called at the end of a trace whose gradients have been taken, or are never asked for. TensorFlow registers the
    gradient function of every `tf.custom_gradient` under a new name, for as long as the process lives, and with it the
    whole graph (tensorflow#97697): each training, whose optimizer has one in `all_reduce`, would leave megabytes.
    Functions traced inside this graph, which others may use again, keep theirs.
    """
    import tensorflow as tf
    from tensorflow.python.framework import ops

    registered = getattr(getattr(ops, "gradient_registry", None), "_registry", None)
    if tf.executing_eagerly() or registered is None:
        return
    for operation in tf.compat.v1.get_default_graph().get_operations():
        if operation.type == "IdentityN":  # what a custom gradient is hung on
            registered.pop(_gradient_of(operation), None)


def _gradient_of(operation: Any) -> str:
    """The name under which the gradient of an operation is registered; empty for one of its type's gradient."""
    try:
        return str(operation.get_attr("_gradient_op_type").decode())
    except ValueError:
        return ""
