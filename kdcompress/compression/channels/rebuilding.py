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
        A plain Keras model, which shares nothing with `model`.

    Raises:
        ModelError: A layer cannot be built anew from its configuration.
    """
    import keras

    made: list[tuple[Any, Any]] = []
    stays = kept[coupling.classes]

    def clone(operation: Any) -> Any:
        config = operation.get_config()
        channels = coupling.layers.get(id(operation))
        if channels is not None:
            config |= {key: _size(value, stays) for key, value in channels.settings.items()}
        made.append((operation, type(operation).from_config(config)))
        return made[-1][1]

    try:
        smaller = keras.models.clone_model(model, clone_function=clone, recursive=True)
        for operation, twin in made:
            _copy(operation, twin, coupling.layers.get(id(operation)), stays)
    except Exception as exc:  # a layer's own code raises anything
        raise ModelError(
            f"{model.name} cannot be built anew with fewer channels ({one_line(exc, 160)}); give its layers a "
            "get_config from which they can be built, or compress it without channels"
        ) from exc
    return smaller


def _size(value: Any, stays: Kept) -> Any:
    if isinstance(value, tuple):
        return (*value[:-1], int(stays[value[-1]].sum()))
    return int(stays[value].sum())


def _copy(operation: Any, twin: Any, channels: LayerChannels | None, stays: Kept) -> None:
    axes = channels.axes if channels is not None else {}
    for name, units in axes.items():
        values = np.asarray(getattr(operation, name))
        for axis, ids in units.items():
            values = np.compress(stays[ids], values, axis)
        getattr(twin, name).assign(values)
    if axes or is_graph(operation):
        return
    # Seeds too, so that dropout goes on as it would have
    pairs = zip(getattr(operation, "variables", ()), getattr(twin, "variables", ()), strict=True)
    for variable, copy in pairs:
        copy.assign(variable)
    if hasattr(twin, "finalize_state"):  # Normalization, whose mean and variance are computed from variables
        twin.finalize_state()
