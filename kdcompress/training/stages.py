"""Which layers of a model learn in a stage: the others are frozen, and where that can be, cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError
from kdcompress.registry import did_you_mean
from kdcompress.training.checkpoints import get_values, set_values

ALL, HEAD = "all", "head"


@dataclass(frozen=True)
class SplitModel:
    """A model in two, sharing its layers: `frozen` gives what `learning` starts from."""

    frozen: Any
    learning: Any


@contextmanager
def freeze_layers(model: Any, trainable: str) -> Iterator[None]:
    """Freeze all of a model's layers but those that learn in a stage; afterwards they are as they were.

    A frozen BatchNormalization uses its moving statistics, and leaves them as they are. Errors: ModelError where there
    is no such layer.
    """
    if trainable == ALL:
        yield
        return
    frozen = _layers(model)[: first_trainable_layer(model, trainable)]
    inner = [one for layer in frozen for one in _with_inner(layer)]
    # Layers first, for each sets the flags of its variables, which may differ from it
    variables = [variable for layer in frozen for variable in layer.variables]
    before = [(one, one.trainable) for one in (*inner, *variables)]
    try:
        for layer in frozen:
            layer.trainable = False
        yield
    finally:
        for one, flag in before:
            one.trainable = flag


def first_trainable_layer(model: Any, trainable: str) -> int:
    """The place among a model's layers of the first that learns. Errors: ModelError."""
    if trainable == ALL:
        return 0
    layers = _layers(model)
    if trainable == HEAD:
        return _head(model, layers)
    names = [layer.name for layer in layers]
    if trainable not in names:
        raise ModelError(
            f"model {model.name} has no layer {trainable!r}{did_you_mean(trainable, names)}; "
            f"trainable is all, head, or one of its layers, from {names[0]} to {names[-1]}"
        )
    return names.index(trainable)


def _head(model: Any, layers: list[Any]) -> int:
    """The place of the last layer with weights; ModelError if that is a model that holds all there are."""
    weighed = [place for place, layer in enumerate(layers) if layer.weights]
    if len(weighed) == 1 and hasattr(layers[weighed[0]], "layers"):
        raise ModelError(
            f"all weights of {model.name} are in the model {layers[weighed[0]].name} inside it, so "
            "its head cannot be told from the rest; give the layers without a model around them"
        )
    return weighed[-1] if weighed else 0


def split_model(model: Any, trainable: str, sample: NDArray[Any]) -> SplitModel | None:
    """The model cut where its frozen layers end, or None if they cannot be run once and for all.

    That is so where more than one tensor goes over the border, or where frozen layers do otherwise in training than in
    inference, as random ones: of layers of your own, `sample`, a few images, shows that. The model must be frozen
    already; its state stays as it is.
    """
    import keras

    frozen_layers = _layers(model)[: first_trainable_layer(model, trainable)]
    border = _border(model, set(frozen_layers))
    if border is None or any(_is_random(one) for layer in frozen_layers for one in _with_inner(layer)):
        return None
    frozen = keras.Model(model.inputs[0], border)
    state = get_values(frozen.variables)
    try:
        given = sample.astype(np.float32)
        alike = np.array_equal(np.asarray(frozen(given, training=True)), np.asarray(frozen(given, training=False)))
    finally:
        set_values(frozen.variables, state)
    return SplitModel(frozen, keras.Model(border, model.outputs[0], name=model.name)) if alike else None


def _is_random(layer: Any) -> bool:
    """Whether a layer draws numbers when it is trained, as Dropout and augmentation do."""
    return bool(getattr(layer, "_seed_generators", ()))


def _border(model: Any, frozen: set[Any]) -> Any:
    """The one tensor that goes from frozen layers to those that learn; None if there are several, or none.

    None, too, where a layer is called more than once, before and behind the border.
    """
    crossing: dict[int, Any] = {}
    made = {id(tensor) for tensor in model.inputs}
    nodes = [node for nodes in _graph(model)._nodes_by_depth.values() for node in nodes]
    called = [node.operation for node in nodes]
    if any(called.count(layer) > 1 for layer in frozen):
        return None
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
            f"{type(model).__name__} is a subclassed model, whose layers have no order; "
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
