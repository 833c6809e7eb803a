"""Rules of operations that move channels: Flatten, Reshape, Permute, Concatenate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kdcompress.compression.channels._channels import LayerChannels, NotUnderstoodError, Visit
from kdcompress.compression.channels._units import Ids

Flow = tuple[Ids, LayerChannels | None]


def flatten(visit: Visit) -> Flow:
    """Follow channels through Flatten: place * channels + channel is one of `channels`."""
    ids = visit.single_input()
    if getattr(visit.operation, "data_format", "channels_last") != "channels_last":
        raise NotUnderstoodError("has its channels first")
    sizes = visit.node.input_shapes[0][1:-1]
    if None in sizes:
        raise NotUnderstoodError("flattens images of any size")
    return np.tile(ids, math.prod(size for size in sizes if size is not None)), None


def reshape(visit: Visit) -> Flow:
    """Follow channels through a reshape whose last axis still goes over whole sets of channels."""
    ids = visit.single_input()
    before, after = visit.node.input_shapes[0][1:], visit.node.output_shapes[0][1:]
    key = "target_shape" if hasattr(visit.operation, "target_shape") else "newshape"
    outputs = ids
    if not after or after[-1] is None:
        raise NotUnderstoodError("leaves the number of channels open")
    if after[-1] != len(ids) or None in (*before[:-1], *after[:-1]):
        if None in (*before, *after):
            raise NotUnderstoodError("reshapes images of any size")
        rows = np.broadcast_to(ids, [size or 0 for size in before]).reshape(-1, after[-1])
        if not (rows == rows[0]).all():
            raise NotUnderstoodError("splits the axis of channels")
        outputs = rows[0]
    return outputs, visit.channels(settings={key: (*_leading(visit.operation, key, after), outputs)})


def _leading(operation: Any, key: str, after: tuple[int | None, ...]) -> tuple[int, ...]:
    """The sizes ahead of the channels, as the configuration has them; at most one is open."""
    sizes = tuple(-1 if size is None else size for size in after[:-1])
    if key == "target_shape":
        return sizes
    batch = tuple(getattr(operation, key))[: len(getattr(operation, key)) - len(after)]
    return (*(-1 if size is None else size for size in batch), *sizes)


def expand_dims(visit: Visit) -> Flow:
    """Follow channels through a new axis ahead of them."""
    ids, rank = visit.single_input(), len(visit.node.output_shapes[0])
    if any(axis % rank == rank - 1 for axis in np.atleast_1d(visit.operation.axis).tolist()):
        raise NotUnderstoodError("adds an axis behind the channels")
    return ids, None


def permute(visit: Visit) -> Flow:
    """Follow channels through a permutation of the other axes."""
    ids = visit.single_input()
    if visit.operation.dims[-1] != len(visit.operation.dims):
        raise NotUnderstoodError("moves the axis of channels")
    return ids, None


def concatenate(visit: Visit) -> Flow:
    """Follow channels through a concatenation along the axis of channels, or along another one."""
    rank = len(visit.node.input_shapes[0])
    if visit.operation.axis in (-1, rank - 1):
        return np.concatenate(visit.inputs), None
    first, *others = visit.inputs
    for ids in others:
        visit.units.join(first, ids)
    return first, None
