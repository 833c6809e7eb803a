"""Reading of weights by layer from `.h5` (Keras 2), `.weights.h5` and `.keras` files."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.keras.model import check_weights_file

Weights = dict[str, list[NDArray[np.float32]]]
"""Arrays of each layer with weights, by layer name."""


@dataclass(frozen=True)
class WeightsFile:
    """The weights in a file.

    Attributes:
        layers: Arrays by layer name.
        ordered: Whether the layers are in the order of the network, as in files of Keras 2; else they are in the order
            of their types.
    """

    layers: Weights
    ordered: bool


def read_weights(path: Path) -> WeightsFile:
    """Read the weights in a file without running code from it.

    Args:
        path: Weights or model file.

    Returns:
        The weights.

    Raises:
        ModelError: If the file is missing or damaged, has no layer names, or contains values that are not finite.
    """
    import h5py

    if not path.is_file():
        raise ModelError(f"weights file {path} does not exist, or is no file")
    check_weights_file(path, "is truncated, damaged or none of Keras")
    try:
        with h5py.File(_open_source(path), "r") as tree:
            ordered = _named_group(tree) is not None
            weights = _read_keras2(tree) if ordered else _read_keras3(tree)
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError, zipfile.BadZipFile) as exc:
        raise ModelError(f"weights file {path} is truncated, damaged or none of Keras: {one_line(exc)}") from exc
    if not weights:
        raise ModelError(f"{path} holds no weights with names of layers; write it with model.save_weights of Keras 3")
    bad = next(
        (name for name, values in weights.items() if not all(np.isfinite(value).all() for value in values)), None
    )
    if bad:
        raise ModelError(f"weights file {path} holds values in layer {bad} that are no numbers (NaN or infinite)")
    return WeightsFile(weights, ordered)


def _open_source(path: Path) -> Path | io.BytesIO:
    """Return what HDF5 opens: the file itself, or the weights inside a `.keras` file, which is a zip."""
    if path.suffix.lower() != ".keras":
        return path
    with zipfile.ZipFile(path) as archive:
        return io.BytesIO(archive.read("model.weights.h5"))


def _named_group(tree: Any) -> Any:
    """Return the group of a Keras 2 file that lists its layers; None for other files."""
    return next(
        (group for group in (tree, tree.get("model_weights")) if group and _read_texts(group, "layer_names")), None
    )


def _read_keras2(tree: Any) -> Weights:
    group = _named_group(tree)
    layers = {name: group[name] for name in _read_texts(group, "layer_names")}
    weights = {
        name: [_to_float32(layer[key]) for key in _read_texts(layer, "weight_names")] for name, layer in layers.items()
    }
    return {name: values for name, values in weights.items() if values}


def _read_keras3(tree: Any) -> Weights:
    """Read layers that are stored under type and number (conv2d_7/vars/0), with their name as an attribute."""
    weights: Weights = {}

    def visit(key: str, item: Any) -> None:
        is_layer = key.startswith("layers/") and key.endswith("/vars") and "seed_generator" not in key
        if is_layer and len(item) and "name" in item.attrs:
            weights[_decode(item.attrs["name"])] = [_to_float32(item[key]) for key in sorted(item, key=int)]

    tree.visititems(visit)
    return weights


def _to_float32(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _read_texts(group: Any, key: str) -> list[str]:
    """Read a list of names, which HDF5 splits into layer_names0, layer_names1, ... if it is long."""
    pieces = [piece for piece in (key, *(f"{key}{n}" for n in range(len(group.attrs)))) if piece in group.attrs]
    return [_decode(name) for piece in pieces for name in group.attrs[piece]]


def _decode(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
