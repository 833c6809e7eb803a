"""Which layers of a model learn in a stage: the others are frozen, and where that can be, cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError
from kdcompress.registry import suggestion

ALL, HEAD = "all", "head"


@dataclass(frozen=True)
class Cut:
    """A model in two, sharing its layers: `frozen` gives what `learning` starts from."""

    frozen: Any
    learning: Any


@contextmanager
def only_training(model: Any, trainable: str) -> Iterator[None]:
    """Freeze all of a model's layers but those that learn in a stage; afterwards they are as they were.

    A frozen BatchNormalization uses its moving statistics, and leaves them as they are. Errors: ModelError where there
    is no such layer.
    """
    if trainable == ALL:
        yield
        return
    frozen = _layers(model)[: first_trained(model, trainable)]
    before = [(one, one.trainable) for layer in frozen for one in _with_inner(layer)]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for layer, flag in before:
            layer.trainable = flag


def first_trained(model: Any, trainable: str) -> int:
    """The place among a model's layers of the first that learns. Errors: ModelError."""
    if trainable == ALL:
        return 0
    layers = _layers(model)
    if trainable == HEAD:
        return max((place for place, layer in enumerate(layers) if layer.weights), default=0)
    names = [layer.name for layer in layers]
    if trainable not in names:
        raise ModelError(
            f"training.stages: model {model.name} has no layer {trainable!r}{suggestion(trainable, names)}; "
            f"trainable is all, head, or one of its layers, from {names[0]} to {names[-1]}"
        )
    return names.index(trainable)


def cut(model: Any, trainable: str, sample: NDArray[Any]) -> Cut | None:
    """The model cut where its frozen layers end, or None if they cannot be run once and for all.

    That is so where more than one tensor goes over the border, or where frozen layers are random in training: which
    `sample`, a few images, shows. The model must be frozen already.
    """
    import keras

    border = _border(model, set(_layers(model)[: first_trained(model, trainable)]))
    if border is None:
        return None
    frozen = keras.Model(model.inputs[0], border)
    given = sample.astype(np.float32)
    if not np.array_equal(np.asarray(frozen(given, training=True)), np.asarray(frozen(given, training=False))):
        return None
    return Cut(frozen, keras.Model(border, model.outputs[0], name=model.name))


def _border(model: Any, frozen: set[Any]) -> Any:
    """The one tensor that goes from frozen layers to those that learn; None if there are several, or none."""
    crossing: dict[int, Any] = {}
    made = {id(tensor) for tensor in model.inputs}
    nodes = [node for nodes in _graph(model)._nodes_by_depth.values() for node in nodes]
    for node in nodes:
        if node.operation in frozen:
            made |= {id(tensor) for tensor in node.outputs}
    for node in nodes:
        if node.operation not in frozen:
            crossing |= {id(tensor): tensor for tensor in node.input_tensors if id(tensor) in made}
    inputs = {id(tensor) for tensor in model.inputs}
    return next(iter(crossing.values())) if len(crossing) == 1 and not inputs & set(crossing) else None


def _layers(model: Any) -> list[Any]:
    """A model's layers from its input to its output. Errors: ModelError for one whose order is not known."""
    if not getattr(model, "inputs", None):
        raise ModelError(
            f"training.stages: {type(model).__name__} is a subclassed model, whose layers have no order; "
            "train it in stages of trainable = 'all', or give a functional or Sequential one"
        )
    return [layer for layer in _graph(model).layers if type(layer).__name__ != "InputLayer"]


def _graph(model: Any) -> Any:
    """The functional graph of a model; a Sequential keeps one inside."""
    return getattr(model, "_functional", None) or model


def _with_inner(layer: Any) -> Iterator[Any]:
    """A layer and all layers in it, whose flags Keras sets with it."""
    yield layer
    yield from layer._flatten_layers(include_self=False, recursive=True)
