"""Weights by layer, as a file holds them: Keras's older `.h5`, its `.weights.h5`, or a `.keras` or `.h5` model."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.keras.model import check_weights_file

# The arrays of each layer that has any, by the layer's name; in the network's order in older files, by kind in others
Weights = dict[str, list[NDArray[np.float32]]]


def read_weights(path: Path) -> Weights:
    """The weights in a file, of which nothing is run; ModelError if it is damaged or holds none."""
    import h5py

    if not path.is_file():
        raise ModelError(f"weights file {path} does not exist, or is no file")
    check_weights_file(path, "is truncated, damaged or none of Keras")
    try:
        with h5py.File(_content(path), "r") as tree:
            found = _older(tree) if _named(tree) is not None else _newer(tree)
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError, zipfile.BadZipFile) as exc:
        raise ModelError(f"weights file {path} is truncated, damaged or none of Keras: {one_line(exc)}") from exc
    if not found:
        raise ModelError(f"{path} holds no weights with names of layers; write it with model.save_weights of Keras 3")
    bad = next((name for name, values in found.items() if not all(np.isfinite(value).all() for value in values)), None)
    if bad:
        raise ModelError(f"weights file {path} holds values in layer {bad} that are no numbers (NaN or infinite)")
    return found


def _content(path: Path) -> Path | io.BytesIO:
    """What HDF5 opens: the file itself, or the weights inside a `.keras` file, which is a zip."""
    if path.suffix.lower() != ".keras":
        return path
    with zipfile.ZipFile(path) as packed:
        return io.BytesIO(packed.read("model.weights.h5"))


def _named(tree: Any) -> Any:
    """The group of an older file that lists its layers, alone or beside a model's configuration."""
    return next((group for group in (tree, tree.get("model_weights")) if group and _texts(group, "layer_names")), None)


def _older(tree: Any) -> Weights:
    group = _named(tree)
    layers = {name: group[name] for name in _texts(group, "layer_names")}
    found = {name: [_array(layer[key]) for key in _texts(layer, "weight_names")] for name, layer in layers.items()}
    return {name: values for name, values in found.items() if values}


def _newer(tree: Any) -> Weights:
    """Layers lie under the number of their kind (conv2d_7/vars/0), their name beside them."""
    found: Weights = {}

    def visit(place: str, item: Any) -> None:
        inside = place.startswith("layers/") and place.endswith("/vars") and "seed_generator" not in place
        if inside and len(item) and "name" in item.attrs:
            found[_text(item.attrs["name"])] = [_array(item[key]) for key in sorted(item, key=int)]

    tree.visititems(visit)
    return found


def _array(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _texts(group: Any, key: str) -> list[str]:
    """A list of names, which HDF5 holds in pieces (layer_names0, layer_names1, ...) if it is long."""
    pieces = [piece for piece in (key, *(f"{key}{n}" for n in range(len(group.attrs)))) if piece in group.attrs]
    return [_text(name) for piece in pieces for name in group.attrs[piece]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
