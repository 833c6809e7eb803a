"""Giving a zoo model the weights of another training, layer by layer, and saying which layers stay fresh."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.models._weights import Weights, read_weights

HEAD = "logits"  # the zoo's last layer, which other classes than the file's make anew


def load_pretrained(model: Any, path: Path, what: str) -> str:
    """Give `model` the weights in `path`, by the names of its layers, and say in one line what was loaded.

    A file may stop at any layer: all behind it keep the values they have. A head of another size does, too; heads of
    other names in the file are left out. `what` names the model. Errors: ModelError for a file that is damaged or of
    another architecture, with the first layer that differs; the model is then as it was.
    """
    weights = read_weights(path)
    layers = [layer for layer in model.layers if layer.weights]
    loaded = _loaded(layers, weights, f"{what}: {path}")
    _refuse_further(layers, loaded, weights, f"{what}: {path}")
    for layer in loaded:
        layer.set_weights(weights[layer.name])
    return f"{what}: {_summary(layers, loaded, path)}"


def _loaded(layers: list[Any], weights: Weights, what: str) -> list[Any]:
    """The layers that the file holds, which are the first ones; ModelError names the first that differs."""
    loaded, missing = [], None
    for layer in layers:
        found = weights.get(layer.name)
        if found is None or (layer.name == HEAD and _shapes(found) != _shapes(layer.weights)):
            missing = missing or layer
        elif missing is not None and layer.name != HEAD:
            raise ModelError(f"{what} lacks layer {missing.name} ({_shapes(missing.weights)}) but has {layer.name} "
                             "behind it; a weights file holds a network, or its first layers")  # fmt: skip
        elif _shapes(found) != _shapes(layer.weights):
            raise ModelError(f"{what} is of another architecture: layer {layer.name} is {_shapes(found)} there and "
                             f"{_shapes(layer.weights)} here; give one of this network and its width")  # fmt: skip
        elif missing is None:
            loaded.append(layer)
    if not loaded:
        name, first = next(iter(weights.items()))
        raise ModelError(f"{what} is of another architecture: it has no layer {layers[0].name} "
                         f"({_shapes(layers[0].weights)}) but {name} ({_brief(first)})")  # fmt: skip
    return loaded


def _refuse_further(layers: list[Any], loaded: list[Any], weights: Weights, what: str) -> None:
    """ModelError for layers in the file that the model has not, unless they are heads behind the whole backbone."""
    whole = all(layer in loaded for layer in layers if layer.name != HEAD)
    known = {layer.name for layer in layers}
    for name, values in weights.items():
        if name not in known and not (whole and values[0].ndim == 2):
            raise ModelError(f"{what} is of another architecture: its layer {name} ({_brief(values)}) is not here")


def _summary(layers: list[Any], loaded: list[Any], path: Path) -> str:
    fresh = [layer.name for layer in layers if layer not in loaded]
    count = f"{len(loaded)} of {len(layers)} layers with weights from {path}"
    if not fresh:
        return f"{count}, its head of {layers[-1].weights[-1].shape[-1]} outputs among them"
    shown = ", ".join(fresh) if len(fresh) < 4 else f"{fresh[0]} ... {fresh[-1]}"
    return f"{count} (up to {loaded[-1].name}); fresh: {shown}"


def _shapes(arrays: Sequence[Any]) -> str:
    """The kernel's shape and those of what is beside it: 3x3x3x32, 32."""
    return ", ".join("x".join(map(str, array.shape)) or "1" for array in arrays)


def _brief(arrays: Sequence[Any]) -> str:
    return f"{_shapes(arrays[:4])}, ..." if len(arrays) > 4 else _shapes(arrays)  # of a model within a model
