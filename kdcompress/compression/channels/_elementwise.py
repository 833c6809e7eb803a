"""Rules of operations that treat every channel alike, and of those that join tensors channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.compression.channels._channels import LayerChannels, NotUnderstoodError, Visit
from kdcompress.compression.channels._units import Ids

_ACROSS_CHANNELS = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})


def same(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through an operation that treats every channel alike, such as pooling."""
    check_layout(visit)
    check_activation(visit)
    return visit.single_input(), None


def dropout(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through dropout, whose noise may have a shape."""
    noise_shape = getattr(visit.operation, "noise_shape", None)
    if noise_shape is not None and noise_shape[-1] not in (None, 1):
        raise NotUnderstoodError(f"has noise of shape {tuple(noise_shape)}")
    return visit.single_input(), None


def scaling(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through a scaling of pixels, which may have numbers for each channel."""
    ids, layer = visit.single_input(), visit.operation
    if any(np.size(getattr(layer, name, 0)) != 1 for name in ("scale", "offset", "mean", "variance")):
        visit.units.keep(ids, f"{type(layer).__name__} {visit.node.path} scales each channel by a number of its own")
    return ids, None


def reduction(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through a mean, sum or maximum over positions."""
    inputs, axis = visit.single_input(), visit.operation.axis
    rank = len(visit.node.input_shapes[0])
    axes = None if axis is None else {number % rank for number in np.atleast_1d(axis).tolist()}
    if axes is None or rank - 1 in axes:
        raise NotUnderstoodError("reduces the axis of channels")
    return inputs, None


def joined(visit: Visit) -> tuple[Ids, LayerChannels | None]:
    """Follow channels through a sum, product or other function of tensors of equal channels, or of one and a number."""
    if any(np.size(constant) != 1 for constant in visit.constants if _is_number(constant)):
        raise NotUnderstoodError("has a constant for each channel")
    widest = max(visit.inputs, key=len)
    for ids in visit.inputs:
        if len(ids) == len(widest):
            visit.units.join(widest, ids)
        else:  # broadcast: a single channel, for all
            visit.units.keep(ids, f"{type(visit.operation).__name__} {visit.node.path} multiplies all channels by one")
    return widest, None


def check_layout(visit: Visit) -> None:
    """Check that channels are the last axis.

    Args:
        visit: Call of a layer.

    Raises:
        NotUnderstoodError: They are not.
    """
    if getattr(visit.operation, "data_format", "channels_last") != "channels_last":
        raise NotUnderstoodError("has its channels first")


def check_activation(visit: Visit) -> None:
    """Check that the activation of a layer treats every channel alike.

    Args:
        visit: Call of a layer.

    Raises:
        NotUnderstoodError: It does not, or is not known.
    """
    activation = getattr(visit.operation, "activation", None)
    if activation is None:
        return
    name = str(getattr(activation, "__name__", type(activation).__name__))
    module = str(getattr(activation, "__module__", ""))
    if name in _ACROSS_CHANNELS:
        raise NotUnderstoodError(f"has the activation {name}, which combines channels")
    if not module.startswith("keras.") or not callable(activation) or isinstance(activation, type):
        raise NotUnderstoodError(f"has the activation {name} of other code")
    if hasattr(activation, "get_config"):  # a layer, which may have weights
        raise NotUnderstoodError(f"has the layer {name} as its activation")


def _is_number(constant: Any) -> bool:
    return constant is not None and not isinstance(constant, str | bool)
