"""Rules of layers with weights: convolutions, dense layers, normalization by stored statistics, PReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.compression.channels._channels import LayerChannels, NotUnderstoodError, Visit
from kdcompress.compression.channels._elementwise import check_activation, check_layout
from kdcompress.compression.channels._units import Ids

Flow = tuple[Ids, LayerChannels | None]
_STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")


def convolution(visit: Visit) -> Flow:
    """Follow channels through a convolution, whose kernel is (..., in, out)."""
    groups = getattr(visit.operation, "groups", 1)
    if groups > 1:
        raise NotUnderstoodError(f"convolves in {groups} groups")
    return _projection(visit, "filters")


def dense(visit: Visit) -> Flow:
    """Follow channels through a dense layer, whose kernel is (in, out)."""
    return _projection(visit, "units")


def _projection(visit: Visit, size: str) -> Flow:
    inputs, outputs = visit.single_input(), _outputs(visit)
    kernel = {_ndim(visit, "kernel") - 2: inputs, _ndim(visit, "kernel") - 1: outputs}
    axes = {"kernel": kernel, "bias": {0: outputs}}
    return outputs, _checked(
        visit.channels(
            axes=_existing(visit, axes),
            settings={size: outputs},
            inputs=inputs,
            reads=("kernel", min(kernel)),
            makes=("kernel", max(kernel)),
        )
    )


def transposed(visit: Visit) -> Flow:
    """Follow channels through a transposed convolution, whose kernel is (..., out, in)."""
    inputs, outputs = visit.single_input(), _outputs(visit)
    last = _ndim(visit, "kernel") - 1
    axes = {"kernel": {last - 1: outputs, last: inputs}, "bias": {0: outputs}}
    return outputs, _checked(
        visit.channels(
            axes=_existing(visit, axes),
            settings={"filters": outputs},
            inputs=inputs,
            reads=("kernel", last),
            makes=("kernel", last - 1),
        )
    )


def separable(visit: Visit) -> Flow:
    """Follow channels through a separable convolution: output c * multiplier + m of its first part reads input c."""
    inputs, outputs = visit.single_input(), _outputs(visit)
    last = _ndim(visit, "pointwise_kernel") - 1
    axes = {
        "depthwise_kernel": {last - 1: inputs},
        "pointwise_kernel": {last - 1: np.repeat(inputs, visit.operation.depth_multiplier), last: outputs},
        "bias": {0: outputs},
    }
    return outputs, _checked(
        visit.channels(
            axes=_existing(visit, axes),
            settings={"filters": outputs},
            inputs=inputs,
            reads=("pointwise_kernel", last - 1),
            makes=("pointwise_kernel", last),
        )
    )


def depthwise(visit: Visit) -> Flow:
    """Follow channels through a depthwise convolution, whose output c * multiplier + m goes with input c."""
    inputs = visit.single_input()
    check_layout(visit)
    outputs = np.repeat(inputs, visit.operation.depth_multiplier)
    axes = {"kernel": {_ndim(visit, "kernel") - 2: inputs}, "bias": {0: outputs}}
    check_activation(visit)
    return outputs, _checked(visit.channels(axes=_existing(visit, axes)))


def batch_normalization(visit: Visit) -> Flow:
    """Follow channels through normalization with one mean and variance per channel."""
    inputs, axis = visit.single_input(), visit.operation.axis
    if axis not in (-1, len(visit.node.input_shapes[0]) - 1):
        raise NotUnderstoodError(f"normalizes axis {axis}")
    axes = _existing(visit, {name: {0: inputs} for name in _STATISTICS})
    return inputs, _checked(visit.channels(axes=axes))


def prelu(visit: Visit) -> Flow:
    """Follow channels through PReLU, whose slopes may be shared by all channels."""
    inputs = visit.single_input()
    last = _ndim(visit, "alpha") - 1
    if visit.operation.alpha.shape[last] != len(inputs):
        return inputs, None
    return inputs, _checked(visit.channels(axes={"alpha": {last: inputs}}))


def _outputs(visit: Visit) -> Ids:
    """Make the output channels of a layer."""
    check_layout(visit)
    outputs = visit.units.make(visit.node.output_shapes[0][-1] or 0, visit.node.path)
    try:
        check_activation(visit)
    except NotUnderstoodError as exc:
        visit.units.keep(outputs, f"{type(visit.operation).__name__} {visit.node.path} {exc}")
    return outputs


def _ndim(visit: Visit, attribute: str) -> int:
    return len(getattr(visit.operation, attribute).shape)


def _existing(visit: Visit, axes: dict[str, dict[int, Ids]]) -> dict[str, dict[int, Ids]]:
    """Leave out weights that the layer lacks, such as the bias of one without."""
    return {name: value for name, value in axes.items() if getattr(visit.operation, name, None) is not None}


def _checked(channels: LayerChannels) -> LayerChannels:
    """Check that every weight of a layer is described, in its shape."""
    layer: Any = channels.operation
    weights = {id(getattr(layer, name)) for name in channels.axes}
    if any(id(weight) not in weights for weight in layer.weights):
        raise NotUnderstoodError("has weights beside its own, as LoRA and quantized layers have")
    for name, axes in channels.axes.items():
        shape = getattr(layer, name).shape
        assert all(shape[axis] == len(ids) for axis, ids in axes.items()), (channels.path, name, shape)
    return channels
