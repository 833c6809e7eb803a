"""Layers that see the whole batch while every worker has a slice of it: BatchNorm's statistics, and random layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kdcompress.training.averaging import exchange
from kdcompress.training.checkpoints import get_values, set_values
from kdcompress.training.group import Group


@contextmanager
def share_batch(model: Any, group: Group) -> Iterator[None]:
    """Make the layers of a model compute in training what they would compute on the batches of all workers together.

    BatchNorm normalizes by the mean and variance of the whole batch, and random layers draw for the whole batch, of
    which each worker takes its slice. Layers of the user's own that keep statistics in another way are left as they
    are (see `agree`).

    Args:
        model: The Keras model.
        group: The workers.
    """
    changed: list[tuple[Any, str]] = []
    if group.world > 1:
        for layer in model._flatten_layers(include_self=True, recursive=True):
            if _normalizes_batches(layer):
                layer._moments = _whole_moments(layer, group)
                changed.append((layer, "_moments"))
            elif _draws(layer):
                layer.call = _whole_draw(layer.call, group)
                changed.append((layer, "call"))
    try:
        yield
    finally:
        for layer, name in changed:
            delattr(layer, name)


def agree(model: Any, optimizer: Any, group: Group) -> list[str]:
    """Give all workers the same variables: the weights of worker 0, and the means of statistics that differ.

    Weights are the same already where all machines compute the same bits. The means are for layers of the user's own,
    whose statistics are of the worker's slices.

    Args:
        model: The Keras model.
        optimizer: Its optimizer.
        group: The workers.

    Returns:
        The names of the layers whose statistics were averaged.
    """
    if group.world == 1:
        return []
    averaged: dict[str, None] = {}
    for variable in model.non_trainable_variables:
        value = np.asarray(variable.numpy())
        values = [np.frombuffer(data, value.dtype).reshape(value.shape) for data in group.gather(value.tobytes())]
        if any(other.tobytes() != values[0].tobytes() for other in values):
            averaged[variable.path.split("/")[-2:][0]] = None
            floating = np.issubdtype(value.dtype, np.floating)
            variable.assign(np.mean(values, axis=0, dtype=value.dtype) if floating else values[0])
    follow([*model.trainable_variables, *optimizer.variables], group)
    return list(averaged)


def whole_metrics(model: Any, group: Group) -> dict[str, Any]:
    """Compute the losses and metrics of the epoch so far on the batches of all workers.

    Keras's metrics are sums over samples, which add up.

    Args:
        model: The compiled Keras model.
        group: The workers.

    Returns:
        Values by name, as Keras logs them.
    """
    variables = [variable for metric in model.metrics for variable in metric.variables]
    values = get_values(variables)
    total = group.sum(np.concatenate([np.ravel(value) for value in values]).astype(np.float32))
    ends = np.cumsum([value.size for value in values])[:-1]
    set_values(variables, [part.reshape(v.shape) for part, v in zip(np.split(total, ends), values, strict=True)])
    return {name: float(value) for name, value in model.get_metrics_result().items()}


def follow(variables: list[Any], group: Group) -> None:
    """Give all workers the values of worker 0.

    Args:
        variables: Keras variables, the same ones for all.
        group: The workers.
    """
    values = get_values(variables)
    data = group.from_leader(b"".join(value.tobytes() for value in values))
    if group.leads:
        return
    begin, taken = 0, []
    for value in values:
        taken.append(np.frombuffer(data, value.dtype, value.size, begin).reshape(value.shape))
        begin += value.nbytes
    set_values(variables, taken)


def _normalizes_batches(layer: Any) -> bool:
    """Whether a layer is Keras's BatchNormalization, or one that takes its mean and variance as that does."""
    import keras

    kind = keras.layers.BatchNormalization
    return isinstance(layer, kind) and type(layer)._moments is kind._moments


def _draws(layer: Any) -> bool:
    """Whether a layer without others inside is random in training."""
    inner = next(iter(layer._flatten_layers(include_self=False, recursive=False)), None)
    return inner is None and bool(getattr(layer, "_seed_generators", ()))


def _whole_moments(layer: Any, group: Group) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The mean and variance of the whole batch, from those of equal slices."""
    import tensorflow as tf

    def moments(inputs: Any, mask: Any) -> tuple[Any, Any]:
        own = type(layer)._moments(layer, inputs, mask)
        means, variances = tf.unstack(_gather(tf.stack(own), group), axis=1)
        mean = tf.reduce_mean(means, 0)
        return mean, tf.reduce_mean(variances, 0) + tf.reduce_mean(tf.math.squared_difference(means, mean), 0)

    return moments


def _gather(tensor: Any, group: Group) -> Any:
    """The tensors (world, ...) of all workers; the gradient of a tensor is the sum of what all workers make of it."""
    import tensorflow as tf

    def gather(value: Any) -> Any:
        rows = [np.frombuffer(row, np.float32).reshape(value.shape) for row in group.gather(value.tobytes())]
        return np.stack(rows)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def gathered(own: Any) -> tuple[Any, Any]:
        everybodys = tf.numpy_function(gather, [own], tf.float32)
        everybodys.set_shape((group.world, *own.shape))

        def gradient(upstream: Any) -> Any:
            total = exchange(group.sum, tf.reshape(upstream, [-1]))
            return tf.reshape(total, upstream.shape)[group.rank]

        return everybodys, gradient

    return gathered(tensor)


def _whole_draw(call: Callable[..., Any], group: Group) -> Callable[..., Any]:
    """The call of a random layer on a batch in which the slices of other workers are zeros."""
    import tensorflow as tf

    def whole(inputs: Any, *args: Any, training: Any = None, **kwargs: Any) -> Any:
        if not training:
            return call(inputs, *args, training=training, **kwargs)
        zeros = tf.zeros_like(inputs)
        batch = tf.concat([inputs if rank == group.rank else zeros for rank in range(group.world)], 0)
        outputs = call(batch, *args, training=training, **kwargs)
        size = tf.shape(inputs)[0]
        return outputs[group.rank * size : (group.rank + 1) * size]

    return whole
