"""Importance of channels: by the change of the loss without them, or by their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.channels._channels import LayerChannels
from kdcompress.compression.channels._graph import Node, run_graph
from kdcompress.compression.channels.coupling import Coupling
from kdcompress.models._inference import forget_custom_gradients

Scores = NDArray[np.float64]
"""The importance of each class of a coupling."""


def l1_scores(coupling: Coupling) -> Scores:
    """Score channels by the L1 norm of the weights that make them, summed over the layers of a group (Li et al. 2017).

    Args:
        coupling: Coupled channels of a model.

    Returns:
        Scores, whose mean in every group is 1.
    """
    scores = np.zeros(coupling.class_count)
    for weight in coupling.weights_that_make():
        kernel = np.abs(weight.slices().astype(np.float64))
        np.add.at(scores, coupling.classes[weight.units], kernel.reshape(len(kernel), -1).sum(axis=1))
    return _normalise(scores, coupling)


def taylor_scores(model: Any, coupling: Coupling, batches: Iterable[Sequence[Any]], loss: Callable[..., Any]) -> Scores:
    """Score channels by the squared first-order change of the loss without them (Molchanov et al. 2017, 2019).

    The change is measured where channels are read, in inference mode: the sum over all positions, and over all layers
    that read the channel, of activation * gradient. It is squared for each image and summed over images.

    Args:
        model: Functional or Sequential model.
        coupling: Its coupled channels.
        batches: Batches (images, *others) of tensors.
        loss: Function loss(outputs, *others) that returns the loss of each image, shape (batch,).

    Returns:
        Scores, whose mean in every group is 1.
    """
    import tensorflow as tf

    readers = _prunable_readers(coupling)

    def changes(images: Any, *others: Any) -> Any:
        count = tf.shape(images)[0]
        gates = {key: tf.ones((count, len(layer.inputs))) for key, layer in readers.items()}
        with tf.GradientTape() as tape:
            tape.watch(gates)
            total = tf.reduce_sum(loss(_gated(model, images, gates), *others))
        gradients = tape.gradient(total, gates)
        forget_custom_gradients()
        return gradients

    run = tf.function(changes, jit_compile=False, reduce_retracing=True)
    scores = np.zeros(coupling.class_count)
    for batch in batches:
        sums = np.zeros((coupling.class_count, len(batch[0])))
        for key, gradient in run(*batch).items():
            np.add.at(sums, coupling.classes[readers[key].inputs], np.asarray(gradient, np.float64).T)
        scores += np.square(sums).sum(axis=1)
    return _normalise(scores, coupling)


def _prunable_readers(coupling: Coupling) -> dict[str, LayerChannels]:
    """The layers that read channels which may be removed, by id of the layer as text."""
    prunable = np.zeros(coupling.class_count, bool)
    for group in coupling.groups:
        prunable[group.classes] = True
    readers = (layer for layer in coupling.readers() if prunable[coupling.classes[layer.inputs]].any())
    return {str(id(layer.operation)): layer for layer in readers}


def _gated(model: Any, images: Any, gates: dict[str, Any]) -> Any:
    """Run a model whose readers get their inputs times a gate for each image and channel."""
    import keras
    import tensorflow as tf

    def call(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        gate = gates.get(str(id(node.operation)))
        if gate is not None:
            ones = [1] * (len(node.input_shapes[0]) - 2)
            gate = tf.reshape(gate, (tf.shape(gate)[0], *ones, gate.shape[-1]))
            args, kwargs = keras.tree.map_structure(
                lambda leaf: leaf * gate if tf.is_tensor(leaf) else leaf, (args, kwargs)
            )
        return node.operation(*args, **kwargs)

    return run_graph(model, [images], call)[0]


def _normalise(scores: Scores, coupling: Coupling) -> Scores:
    """Divide by the mean of each group, so that groups of all sizes and depths can be compared."""
    result = np.zeros_like(scores)
    for group in coupling.groups:
        mean = scores[group.classes].mean()
        result[group.classes] = scores[group.classes] / mean if mean > 0 else 1.0
    return result
