"""Channels of one layer: which unit each slice of its weights, and each size among its settings, belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.channels._graph import Node
from kdcompress.compression.channels._units import Ids, Units


class NotUnderstoodError(Exception):
    """A call after which channels cannot be followed; its text says why, behind the kind and path of the layer."""


@dataclass(frozen=True)
class WeightAxis:
    """An axis of a weight with a slice for each channel.

    Attributes:
        layer: The layer.
        attribute: Attribute of the layer that holds the weight.
        axis: The axis.
        units: Units of the slices.
    """

    layer: Any
    attribute: str
    axis: int
    units: Ids

    def slices(self) -> NDArray[Any]:
        """Return a copy of the weight, the axis first."""
        return np.moveaxis(np.array(getattr(self.layer, self.attribute)), self.axis, 0).copy()

    def assign(self, slices: NDArray[Any]) -> None:
        """Assign the weight.

        Args:
            slices: Values in the shape of `slices`.
        """
        getattr(self.layer, self.attribute).assign(np.moveaxis(slices, 0, self.axis))


@dataclass(frozen=True)
class LayerChannels:
    """Units of the weights and settings of a layer or operation.

    Attributes:
        operation: The layer or operation.
        path: Its path in the model.
        axes: Units along axes of its weights, by attribute of the layer and by axis.
        settings: Settings of its configuration that hold a number of channels: its units, or a tuple that ends in them.
            A nested model has the units of its inputs, by number.
        inputs: Units of the channels that the layer combines; empty if it combines none.
        reads: Attribute and axis of the weight that is multiplied by them and summed over; None if there is none.
        makes: Attribute and axis of the weight that makes the output channels; None if the layer passes channels on.
    """

    operation: Any
    path: str
    axes: Mapping[str, Mapping[int, Ids]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    reads: tuple[str, int] | None = None
    makes: tuple[str, int] | None = None

    def weight_axis(self, which: tuple[str, int]) -> WeightAxis:
        """Return an axis of a weight.

        Args:
            which: `reads` or `makes`.
        """
        attribute, axis = which
        return WeightAxis(self.operation, attribute, axis, self.axes[attribute][axis])

    def all_units(self) -> list[Ids]:
        """The units of all axes and settings, in a fixed order."""
        axes = [ids for weight in self.axes.values() for ids in weight.values()]
        return [*axes, *(value[-1] if isinstance(value, tuple) else value for value in self.settings.values())]


@dataclass(frozen=True)
class Visit:
    """A call of an operation during the analysis of a graph.

    Attributes:
        node: The call.
        inputs: Units of its input tensors.
        constants: Its other arguments.
        units: All units of the model.
    """

    node: Node
    inputs: list[Ids]
    constants: list[Any]
    units: Units

    @property
    def operation(self) -> Any:
        """The layer or operation."""
        return self.node.operation

    def channels(self, **parts: Any) -> LayerChannels:
        """Describe the channels of this layer.

        Args:
            parts: Attributes of `LayerChannels`.
        """
        return LayerChannels(self.operation, self.node.path, **parts)

    def single_input(self) -> Ids:
        """Return the units of the only input tensor.

        Raises:
            NotUnderstoodError: There are several.
        """
        if len(self.inputs) != 1:
            raise NotUnderstoodError(f"takes {len(self.inputs)} tensors")
        return self.inputs[0]
