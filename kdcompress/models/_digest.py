"""A model's digest: of architecture and weights, since `.keras` bytes differ at every save."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

# The keys of a configuration whose strings are names of layers; elsewhere "relu" is a function.
_NAMING = ("name", "keras_history", "input_layers", "output_layers")


def model_digest(model: Any) -> str:
    """SHA-256 over what the model computes: its configuration, without the names of layers, and its weights.

    The same network has the same digest in every process and after every save, however its layers are named.
    """
    digest = hashlib.sha256(_architecture(model).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.data)
    return digest.hexdigest()


def _architecture(model: Any) -> str:
    try:
        config = model.get_config()
    except NotImplementedError:  # a subclassed model without a configuration: its class and weights must do
        config = {}
    names: dict[str, str] = {}
    _collect_names(config, names)
    plain = _renamed(config, names)
    return json.dumps([type(model).__qualname__, plain], sort_keys=True, default=str)


def _collect_names(value: Any, names: dict[str, str]) -> None:
    """Number the names of layers in the order in which they appear."""
    if isinstance(value, dict):
        if isinstance(name := value.get("name"), str):
            names.setdefault(name, f"#{len(names)}")
        for inner in value.values():
            _collect_names(inner, names)
    elif isinstance(value, list | tuple):
        for inner in value:
            _collect_names(inner, names)


def _renamed(value: Any, names: dict[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        # build_config and compile_config say how a model was used, not what it computes.
        return {k: _renamed(v, names, k) for k, v in value.items() if k not in ("build_config", "compile_config")}
    if isinstance(value, list | tuple):
        return [_renamed(inner, names, key) for inner in value]
    return names.get(value, value) if isinstance(value, str) and key in _NAMING else value
