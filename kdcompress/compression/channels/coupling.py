"""Coupled groups of channels of a Keras model: those that have to be removed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.compression.channels._channels import LayerChannels, NotUnderstoodError, Visit, WeightAxis
from kdcompress.compression.channels._graph import Node, check_graph, run_graph
from kdcompress.compression.channels._rules import apply_rule
from kdcompress.compression.channels._units import Ids, Units

_OUTPUT = "makes the model's outputs"


@dataclass(frozen=True)
class Group:
    """Layers whose output channels are coupled one by one, by residual sums, for example.

    Attributes:
        layers: Paths of the layers that make the channels.
        classes: The class of each channel; all layers of a channel's class lose it together.
    """

    layers: tuple[str, ...]
    classes: Ids

    @property
    def key(self) -> str:
        """A name that stays when channels are removed."""
        return "+".join(self.layers)


@dataclass(frozen=True)
class Whole:
    """Layers whose output channels all stay.

    Attributes:
        layers: Paths of the layers.
        reason: Why.
    """

    layers: tuple[str, ...]
    reason: str

    @property
    def is_output(self) -> bool:
        """Whether they stay since they make the model's outputs."""
        return self.reason == _OUTPUT


@dataclass(frozen=True)
class Coupling:
    """The channels of a model.

    Attributes:
        groups: Groups of channels that may be removed.
        whole: Layers that keep all their channels.
        layers: Channels of layers, operations and nested models, by id of the object.
        classes: The class of each unit.
    """

    groups: tuple[Group, ...]
    whole: tuple[Whole, ...]
    layers: dict[int, LayerChannels]
    classes: Ids

    @property
    def class_count(self) -> int:
        """The number of classes."""
        return int(self.classes.max(initial=-1)) + 1

    def all_kept(self) -> NDArray[np.bool_]:
        """Return the mask over classes that keeps them all."""
        return np.ones(self.class_count, bool)

    def readers(self) -> list[LayerChannels]:
        """The layers that combine channels."""
        return [layer for layer in self.layers.values() if layer.reads]

    def weights_that_read(self) -> list[WeightAxis]:
        """The weights by which channels are multiplied before they are summed."""
        return [layer.weight_axis(layer.reads) for layer in self.layers.values() if layer.reads]

    def weights_that_make(self) -> list[WeightAxis]:
        """The weights that make new channels."""
        return [layer.weight_axis(layer.makes) for layer in self.layers.values() if layer.makes]


def find_coupling(model: Any) -> Coupling:
    """Find which channels of a model have to be removed together, and which must stay.

    Channels are followed along the graph from the layers that make them: convolutions and dense layers. Residual sums
    and products join them one by one; concatenations and Flatten keep track of their positions. Whatever is not
    understood keeps the channels that it reads.

    Args:
        model: Functional or Sequential model, which may contain others.

    Returns:
        The coupling.

    Raises:
        ModelError: The model is a subclassed one.
    """
    check_graph(model)
    analysis = _Analysis()
    inputs = [analysis.make_input(tensor.shape) for tensor in model.inputs]
    for value in run_graph(model, inputs, analysis.call, analysis.enter):
        analysis.units.keep(value.ids, _OUTPUT)
    return analysis.finish()


@dataclass(frozen=True, eq=False)
class _Value:
    """What stands for a tensor in the walk over the graph: the units of its last axis."""

    ids: Ids


class _Analysis:
    """The state of a walk over the graph."""

    def __init__(self) -> None:
        self.units = Units()
        self.layers: dict[int, LayerChannels] = {}

    def make_input(self, shape: tuple[int | None, ...]) -> _Value:
        return _Value(self._stay(shape, "", "is the model's input"))

    def call(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[_Value]:
        import keras

        leaves = keras.tree.flatten((args, kwargs))
        inputs = [leaf.ids for leaf in leaves if isinstance(leaf, _Value)]
        constants = [leaf for leaf in leaves if not isinstance(leaf, _Value)]
        try:
            outputs, layer = apply_rule(Visit(node, inputs, constants, self.units))
        except NotUnderstoodError as exc:
            return self._opaque(node, inputs, f"{type(node.operation).__name__} {node.path} {exc}")
        if layer is not None:
            self._record(layer)
        return [_Value(outputs)]

    def enter(self, model: Any, path: str, inputs: list[_Value]) -> None:
        """Record the channels of a nested model's inputs."""
        sizes = {str(index): value.ids for index, value in enumerate(inputs)}
        self._record(LayerChannels(model, path, settings=sizes))

    def finish(self) -> Coupling:
        classes, reasons = self.units.classes()
        makers: list[dict[str, None]] = [{} for _ in reasons]
        for unit, maker in enumerate(self.units.makers):
            if maker:
                makers[classes[unit]][maker] = None
        groups: dict[tuple[str, ...], list[int]] = {}
        whole: dict[str, dict[str, None]] = {}
        for index, (paths, reason) in enumerate(zip(makers, reasons, strict=True)):
            if reason and paths:
                whole.setdefault(reason, {}).update(paths)
            elif paths:
                groups.setdefault(tuple(paths), []).append(index)
        return Coupling(
            tuple(Group(paths, np.array(members)) for paths, members in groups.items()),
            tuple(Whole(tuple(paths), reason) for reason, paths in whole.items()),
            self.layers,
            classes,
        )

    def _opaque(self, node: Node, inputs: list[Ids], reason: str) -> list[_Value]:
        """Keep all channels that a call reads or makes."""
        for ids in inputs:
            self.units.keep(ids, reason)
        maker = node.path if getattr(node.operation, "weights", None) else ""
        return [_Value(self._stay(shape, maker, reason)) for shape in node.output_shapes]

    def _stay(self, shape: tuple[int | None, ...], maker: str, reason: str) -> Ids:
        ids = self.units.make((shape[-1] or 0) if shape else 0, maker)
        self.units.keep(ids, reason)
        return ids

    def _record(self, layer: LayerChannels) -> None:
        """Record the channels of a layer; those of a layer that is called more than once are coupled over its calls."""
        earlier = self.layers.setdefault(id(layer.operation), layer)
        for first, second in zip(earlier.all_units(), layer.all_units(), strict=True):
            self.units.join(first, second)
