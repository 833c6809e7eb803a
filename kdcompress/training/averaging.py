"""Optimizers that apply the mean of the gradients of all workers, and numbers that workers agree on."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.errors import TrainingError
from kdcompress.training.group import Group


def averaging(kind: type[Any], group: Group) -> type[Any]:
    """Derive an optimizer that applies the mean of the gradients of all workers.

    The mean is taken before anything else is done with the gradients: clipping, weight decay, moving averages of the
    weights and the scaling of losses are those of the whole batch, and the same for all workers.

    Args:
        kind: Class of a Keras optimizer. A `LossScaleOptimizer` is derived from itself, not from its inner optimizer.
        group: The workers.

    Returns:
        A class with the same arguments; `kind` itself for one process.
    """
    if group.world == 1:
        return kind

    class Averaging(kind):  # type: ignore[misc]
        def build(self, variables: Any) -> None:
            if any(getattr(variable, "overwrite_with_gradient", False) for variable in variables):
                raise TrainingError(
                    "float8 weights cannot be trained on several workers, whose scales have no mean; "
                    "leave cluster.train_workers out"
                )
            super().build(variables)

        def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
            return super().apply(mean_of(grads, group), trainable_variables)

    Averaging.__name__ = kind.__name__  # the optimizer's variables are named after its class
    return Averaging


def mean_of(gradients: Any, group: Group) -> list[Any]:
    """Average gradients in one exchange.

    Args:
        gradients: Tensors, or None where a variable has no gradient.
        group: The workers.

    Returns:
        The means over all workers, of the same types.
    """
    import tensorflow as tf

    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]
    present = [gradient for gradient in dense if gradient is not None]
    flat = [tf.reshape(tf.cast(gradient, tf.float32), [-1]) for gradient in present]
    total = exchange(group.sum, tf.concat(flat, 0)) / np.float32(group.world)
    parts = iter(tf.split(total, [int(np.prod(gradient.shape)) for gradient in present]))
    return [
        None if gradient is None else tf.cast(tf.reshape(next(parts), gradient.shape), gradient.dtype)
        for gradient in dense
    ]


def exchange(function: Any, vector: Any) -> Any:
    """Call a function of a group on a tensor, from within the graph or outside it.

    Args:
        function: Maps a NumPy vector to another of the same shape.
        vector: Tensor, float32.

    Returns:
        The result, float32. Exchanges run in the order of the program, which is that of all workers.
    """
    import tensorflow as tf

    result = tf.numpy_function(function, [vector], tf.float32)
    result.set_shape(vector.shape)
    return result
