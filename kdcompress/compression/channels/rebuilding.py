"""Rebuilding of a Keras model without some of its channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.channels._channels import LayerChannels
from kdcompress.compression.channels._graph import is_graph
from kdcompress.compression.channels.coupling import Coupling
from kdcompress.errors import ModelError, one_line

Kept = NDArray[np.bool_]
"""Whether each class of a coupling stays."""


def rebuild(model: Any, coupling: Coupling, kept: Kept) -> Any:
    """Build a smaller model without some channels; its other weights and its layers' names stay.

    The smaller model computes what the larger one would if no layer read the removed channels.

    Args:
        model: Functional or Sequential model.
        coupling: Its coupled channels.
        kept: Which classes stay.

    Returns:
        A plain Keras model, which shares no variables with `model`.

    Raises:
        ModelError: A layer cannot be built anew from its configuration.
    """
    builder = _Builder(coupling, kept)
    try:
        return builder.build(model)
    except Exception as exc:  # a layer's own code raises anything
        raise ModelError(
            f"{model.name} cannot be built anew with fewer channels ({one_line(exc, 160)}); give its layers a "
            "get_config from which they can be built, or compress it without channels"
        ) from exc


class _Builder:
    """Copies of operations with fewer channels; each is made once, so that shared layers stay shared."""

    def __init__(self, coupling: Coupling, kept: Kept) -> None:
        self._layers, self._stays = coupling.layers, kept[coupling.classes]
        self._made: dict[int, tuple[Any, Any]] = {}

    def build(self, model: Any) -> Any:
        smaller = self._clone(model)
        for operation, twin in self._made.values():
            if not is_graph(operation) and twin is not operation:
                _copy(operation, twin, self._layers.get(id(operation)), self._stays)
        return smaller

    def _clone(self, operation: Any) -> Any:
        if id(operation) not in self._made:
            make = self._clone_graph if is_graph(operation) else self._clone_layer
            self._made[id(operation)] = operation, make(operation)
        return self._made[id(operation)][1]

    def _clone_layer(self, operation: Any) -> Any:
        import keras

        if isinstance(operation, keras.layers.Lambda):  # has no state, and cannot be built from its configuration
            return operation
        config = operation.get_config() | self._sizes(operation)
        return type(operation).from_config(config)

    def _clone_graph(self, model: Any) -> Any:
        import keras

        sizes = self._sizes(model)
        inputs = []
        for index, tensor in enumerate(model.inputs):
            shape = (*tensor.shape[:-1], tensor.shape[-1] and sizes.get(str(index), tensor.shape[-1]))
            inputs.append(keras.Input(batch_shape=shape, dtype=tensor.dtype, name=tensor._keras_history.operation.name))
        if isinstance(model, keras.Sequential):
            layers = [*inputs, *(self._clone(layer) for layer in model.layers)]
            return keras.Sequential(layers, name=model.name, trainable=model.trainable)
        structure = keras.tree.pack_sequence_as(model.input, inputs)
        return keras.models.clone_model(model, input_tensors=structure, clone_function=self._clone)

    def _sizes(self, operation: Any) -> dict[str, Any]:
        """The settings of an operation that hold numbers of channels, after the removal."""
        channels = self._layers.get(id(operation))
        return {} if channels is None else {key: self._size(value) for key, value in channels.settings.items()}

    def _size(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return (*value[:-1], self._size(value[-1]))
        return int(self._stays[value].sum())


def _copy(operation: Any, twin: Any, channels: LayerChannels | None, stays: Kept) -> None:
    axes = channels.axes if channels is not None else {}
    for name, units in axes.items():
        values = np.asarray(getattr(operation, name))
        for axis, ids in units.items():
            values = np.compress(stays[ids], values, axis)
        getattr(twin, name).assign(values)
    if axes:
        return
    # Seeds too, so that dropout goes on as it would have
    pairs = zip(getattr(operation, "variables", ()), getattr(twin, "variables", ()), strict=True)
    for variable, copy in pairs:
        copy.assign(variable)
    if hasattr(twin, "finalize_state"):  # Normalization, whose mean and variance are computed from variables
        twin.finalize_state()
