"""Rebuilding of Keras models of other dtype policies, such as mixed precision, under float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kdcompress.errors import ModelError, one_line

FLOAT32 = "float32"
_FLOATS = ("float16", "bfloat16", "float64")
_POLICIES = (*_FLOATS, "mixed_float16", "mixed_bfloat16")
_DTYPE_KEYS = ("dtype", "compute_dtype")  # keys of a configuration that hold a dtype or the name of a policy


def find_policy(model: Any) -> str:
    """Find the dtype policy in which a model computes or stores weights.

    Args:
        model: Keras model, or a callable, which has no policy.

    Returns:
        Names of the policies other than float32, separated by commas; "float32" if there are none.
    """
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else ()
    policies = (getattr(layer, "dtype_policy", None) for layer in layers)
    names = {policy.name for policy in policies if policy is not None and policy.name in _POLICIES}
    return ", ".join(sorted(names)) or FLOAT32


def rebuild_in_float32(model: Any, input_shape: tuple[int, int, int], name: str) -> Any:
    """Rebuild a model from its configuration with float32 in place of every other floating-point dtype.

    Args:
        model: Keras model.
        input_shape: (H, W, C).
        name: Name of the model in errors.

    Returns:
        A model with the same weights, rounded to float32.

    Raises:
        ModelError: It cannot be rebuilt from its configuration.
    """
    import keras

    try:
        config = _replace_dtypes(keras.saving.serialize_keras_object(model))
        with _float32_policy():
            # The model exists already: whatever code it consists of was trusted
            rebuilt = keras.saving.deserialize_keras_object(config, safe_mode=False)
            if len(rebuilt.weights) != len(model.weights):  # weights that are made when images arrive
                rebuilt(np.zeros((1, *input_shape), np.float32), training=False)
        _copy_weights(model, rebuilt)
    except Exception as exc:  # a model's own code raises anything
        raise ModelError(
            f"{name} computes in {find_policy(model)} and cannot be rebuilt in float32 ({one_line(exc, 120)}); "
            "build it under the policy float32, load its weights into that, and export it"
        ) from exc
    return rebuilt


def _replace_dtypes(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy" and value.get("config", {}).get("name") in _POLICIES:
            return {**value, "config": {**value["config"], "name": FLOAT32}}
        return {k: _replace_dtypes(inner, k) for k, inner in value.items() if k != "compile_config"}
    if isinstance(value, list | tuple):
        return type(value)(_replace_dtypes(inner, key) for inner in value)
    return FLOAT32 if key in _DTYPE_KEYS and isinstance(value, str) and value in _POLICIES else value


@contextmanager
def _float32_policy() -> Iterator[None]:
    """Context manager in which new layers have the policy float32."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(FLOAT32)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _copy_weights(source: Any, target: Any) -> None:
    shapes = [[tuple(weight.shape) for weight in model.weights] for model in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"it has {len(shapes[1])} weights of other shapes than the {len(shapes[0])} of the model")
    for old, new in zip(source.weights, target.weights, strict=True):
        values = np.asarray(old.numpy())
        new.assign(values.astype(np.float32) if str(old.dtype) in _FLOATS else values)
    if (policy := find_policy(target)) != FLOAT32:
        raise ValueError(f"a part of it stays in {policy}")
