"""Pretrained weights for zoo models, loaded layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.models._backbone import is_positional
from kdcompress.models._weights import Weights, read_weights

HEAD = "logits"  # name of the zoo's last layer, which stays random if the number of classes differs


def load_pretrained(model: Any, path: Path, subject: str) -> str:
    """Load pretrained weights into a model by layer name.

    The file may contain only the first layers; later ones keep their values, and so does a head of another size. Heads
    of other names in the file are ignored. The layers of a network that Keras did not name all are paired by their
    order instead, if the file is one that Keras published.

    Args:
        model: A zoo model; unchanged after an error.
        path: Weights file.
        subject: Role and name of the model, for messages.

    Returns:
        One line that says which layers were loaded.

    Raises:
        ModelError: If the file is damaged or of another architecture; names the first layer that differs.
    """
    file = read_weights(path)
    layers = [layer for layer in _iter_layers(model, file.layers) if layer.weights]
    weights = file.layers
    if file.ordered and (published := _by_position(layers, weights)):
        weights = published
        layers = [layer for layer in layers if layer.name in weights or layer.name == HEAD]
    loaded = _match_layers(layers, weights, f"{subject}: {path}")
    _check_unknown_layers(layers, loaded, weights, f"{subject}: {path}")
    for layer in loaded:
        layer.set_weights(weights[layer.name])
        if hasattr(layer, "finalize_state"):  # Normalization computes with a copy of its weights
            layer.finalize_state()
    return f"{subject}: {_summary(layers, loaded, path)}"


def _iter_layers(model: Any, weights: Weights) -> Iterator[Any]:
    """Yield the layers of a model, and those inside of nested models that the file does not hold as one."""
    for layer in model.layers:
        if hasattr(layer, "layers") and layer.name not in weights:
            yield from _iter_layers(layer, weights)
        else:
            yield layer


def _by_position(layers: list[Any], weights: Weights) -> Weights | None:
    """Name the arrays of a published file as the layers of a network with unnamed layers; None for other networks.

    Statistics of the pixels are left out: the network has its own, which are right for it.
    """
    if not any(is_positional(layer.name) for layer in layers):
        return None
    body = [layer for layer in layers if layer.name != HEAD]
    pairs = list(zip(body, weights.values(), strict=False))
    if len(weights) < len(body) or any(_shapes(arrays) != _shapes(layer.weights) for layer, arrays in pairs):
        return None
    return {layer.name: arrays for layer, arrays in pairs if not hasattr(layer, "finalize_state")}


def _match_layers(layers: list[Any], weights: Weights, subject: str) -> list[Any]:
    """Return the layers whose weights the file contains, which must be the first ones of the model."""
    loaded, missing = [], None
    for layer in layers:
        arrays = weights.get(layer.name)
        if arrays is None or (layer.name == HEAD and _shapes(arrays) != _shapes(layer.weights)):
            missing = missing or layer
        elif missing is not None and layer.name != HEAD:
            raise ModelError(f"{subject} lacks layer {missing.name} ({_shapes(missing.weights)}) but has {layer.name} "
                             "behind it; a weights file holds a network, or its first layers")  # fmt: skip
        elif _shapes(arrays) != _shapes(layer.weights):
            raise ModelError(f"{subject} is of another architecture: layer {layer.name} is {_shapes(arrays)} there and "
                             f"{_shapes(layer.weights)} here; give one of this network and its width")  # fmt: skip
        elif missing is None:
            loaded.append(layer)
    if not loaded:
        name, first = next(iter(weights.items()))
        raise ModelError(f"{subject} is of another architecture: it has no layer {layers[0].name} "
                         f"({_shapes(layers[0].weights)}) but {name} ({_short_shapes(first)})")  # fmt: skip
    return loaded


def _check_unknown_layers(layers: list[Any], loaded: list[Any], weights: Weights, subject: str) -> None:
    """Reject layers in the file that the model does not have, unless they are heads behind the whole backbone."""
    has_backbone = all(layer in loaded for layer in layers if layer.name != HEAD)
    known = {layer.name for layer in layers}
    for name, values in weights.items():
        if name not in known and not (has_backbone and values[0].ndim == 2):
            raise ModelError(
                f"{subject} is of another architecture: its layer {name} ({_short_shapes(values)}) is not here"
            )


def _summary(layers: list[Any], loaded: list[Any], path: Path) -> str:
    fresh = [layer.name for layer in layers if layer not in loaded]
    count = f"{len(loaded)} of {len(layers)} layers with weights from {path}"
    if not fresh:
        return f"{count}, its head of {layers[-1].weights[-1].shape[-1]} outputs among them"
    shown = ", ".join(fresh) if len(fresh) < 4 else f"{fresh[0]} ... {fresh[-1]}"
    return f"{count} (up to {loaded[-1].name}); fresh: {shown}"


def _shapes(arrays: Sequence[Any]) -> str:
    """Format the shapes of a layer's arrays, such as "3x3x3x32, 32"."""
    return ", ".join("x".join(map(str, array.shape)) or "1" for array in arrays)


def _short_shapes(arrays: Sequence[Any]) -> str:
    return f"{_shapes(arrays[:4])}, ..." if len(arrays) > 4 else _shapes(arrays)  # a nested model
