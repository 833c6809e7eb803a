"""Freezing of the layers that a stage does not train, and splitting of a model at the first trained layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError
from kdcompress.models import graph_of, head_index, layers_of
from kdcompress.registry import did_you_mean
from kdcompress.training.checkpoints import get_values, set_values

ALL, HEAD = "all", "head"


@dataclass(frozen=True)
class SplitModel:
    """A model in two parts that share its layers.

    Attributes:
        frozen: Keras model from images to features.
        trainable: Keras model from features to outputs.
    """

    frozen: Any
    trainable: Any


@contextmanager
def freeze_layers(model: Any, trainable: str) -> Iterator[None]:
    """Freeze the layers that a stage does not train, and restore them afterwards.

    A frozen BatchNormalization uses its moving statistics and does not update them.

    Args:
        model: The Keras model.
        trainable: all, head, or the name of the first trained layer.

    Raises:
        ModelError: There is no such layer, or the order of the layers is unknown.
    """
    if trainable == ALL:
        yield
        return
    frozen = layers_of(model)[: first_trainable_layer(model, trainable)]
    nested = [inner for layer in frozen for inner in _with_nested(layer)]
    # Layers before variables, since a layer sets the flags of its variables, which may differ from its own
    variables = [variable for layer in frozen for variable in layer.variables]
    flags = [(item, item.trainable) for item in (*nested, *variables)]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for item, flag in flags:
            item.trainable = flag


def first_trainable_layer(model: Any, trainable: str) -> int:
    """Find the first layer that a stage trains.

    Args:
        model: The Keras model.
        trainable: all, head, or the name of a layer.

    Returns:
        Its index among the model's layers from input to output.

    Raises:
        ModelError: There is no such layer, or the order of the layers is unknown.
    """
    if trainable == ALL:
        return 0
    layers = layers_of(model)
    if trainable == HEAD:
        return head_index(model)
    names = [layer.name for layer in layers]
    if trainable not in names:
        raise ModelError(
            f"model {model.name} has no layer {trainable!r}{did_you_mean(trainable, names)}; "
            f"trainable is all, head, or one of its layers, from {names[0]} to {names[-1]}"
        )
    return names.index(trainable)


def split_model(model: Any, trainable: str, sample: NDArray[Any]) -> SplitModel | None:
    """Split a model behind its frozen layers, so that these can be run once for all epochs.

    Args:
        model: The Keras model, whose layers are already frozen; its state is restored.
        trainable: head, or the name of the first trained layer.
        sample: Some images (n, H, W, C), which show whether custom layers behave differently in training.

    Returns:
        The two parts; None if more than one tensor leaves the frozen layers, or if they are random or otherwise
        different in training and inference.
    """
    import keras

    frozen_layers = layers_of(model)[: first_trainable_layer(model, trainable)]
    border = _border(model, set(frozen_layers))
    if border is None or any(_is_random(inner) for layer in frozen_layers for inner in _with_nested(layer)):
        return None
    frozen = keras.Model(model.inputs[0], border)
    state = get_values(frozen.variables)
    try:
        images = sample.astype(np.float32)
        in_training, in_inference = (np.asarray(frozen(images, training=flag)) for flag in (True, False))
    finally:
        set_values(frozen.variables, state)
    if not np.array_equal(in_training, in_inference):
        return None
    return SplitModel(frozen, keras.Model(border, model.outputs[0], name=model.name))


def _is_random(layer: Any) -> bool:
    """Whether a layer is random in training, as Dropout and augmentation are."""
    return bool(getattr(layer, "_seed_generators", ()))


def _border(model: Any, frozen: set[Any]) -> Any:
    """The only tensor from frozen to trained layers.

    None if there are several or none, or if a frozen layer is called more than once.
    """
    crossing: dict[int, Any] = {}
    computed = {id(tensor) for tensor in model.inputs}
    nodes = [node for nodes in graph_of(model)._nodes_by_depth.values() for node in nodes]
    operations = [node.operation for node in nodes]
    if any(operations.count(layer) > 1 for layer in frozen):
        return None
    for node in nodes:
        if node.operation in frozen:
            computed |= {id(tensor) for tensor in node.outputs}
    for node in nodes:
        if node.operation not in frozen:
            crossing |= {id(tensor): tensor for tensor in node.input_tensors if id(tensor) in computed}
    inputs = {id(tensor) for tensor in model.inputs}
    return next(iter(crossing.values())) if len(crossing) == 1 and not inputs & set(crossing) else None


def _with_nested(layer: Any) -> Iterator[Any]:
    """A layer and all layers nested in it, whose flags Keras sets with it."""
    yield layer
    yield from layer._flatten_layers(include_self=False, recursive=True)
