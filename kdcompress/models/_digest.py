"""Digest of a model's architecture and weights; the bytes of a `.keras` file differ at every save."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

# Keys of a configuration whose strings are layer names; elsewhere "relu" is a function
_NAME_KEYS = ("name", "keras_history", "input_layers", "output_layers")


def model_digest(model: Any) -> str:
    """Compute the SHA-256 of a model's configuration, without layer names, and weights.

    The same network has the same digest in every process and after every save.

    Args:
        model: A Keras model.

    Returns:
        64 hex digits.
    """
    digest = hashlib.sha256(_architecture(model).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.reshape(-1).view(np.uint8).data)  # bfloat16 has no buffer of its own
    return digest.hexdigest()


def _architecture(model: Any) -> str:
    try:
        config = model.get_config()
    except NotImplementedError:  # a subclassed model: its class and weights identify it
        config = {}
    names: dict[str, str] = {}
    _collect_names(config, names)
    plain = _rename(config, names)
    return json.dumps([type(model).__qualname__, plain], sort_keys=True, default=str)


def _collect_names(value: Any, names: dict[str, str]) -> None:
    """Number layer names by first occurrence."""
    if isinstance(value, dict):
        if isinstance(name := value.get("name"), str):
            names.setdefault(name, f"#{len(names)}")
        for inner in value.values():
            _collect_names(inner, names)
    elif isinstance(value, list | tuple):
        for inner in value:
            _collect_names(inner, names)


def _rename(value: Any, names: dict[str, str], key: str = "") -> Any:
    if isinstance(value, dict):
        # build_config and compile_config record how a model was used, not what it computes
        return {k: _rename(v, names, k) for k, v in value.items() if k not in ("build_config", "compile_config")}
    if isinstance(value, list | tuple):
        return [_rename(inner, names, key) for inner in value]
    return names.get(value, value) if isinstance(value, str) and key in _NAME_KEYS else value
