"""Opening of a SavedModel's serving signature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.graph_check import check_saved_model

SERVING = "serving_default"


def open_signature(path: Path) -> Any:
    """Open the signature `serving_default` of a SavedModel, or its only one.

    Args:
        path: Folder of the SavedModel.

    Returns:
        The signature, with named inputs and outputs; its attribute `kdcompress_model` keeps the model alive.

    Raises:
        ModelError: The model does not pass `check_saved_model`, cannot be loaded, or has no such signature.
    """
    import tensorflow as tf

    check_saved_model(path)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as a SavedModel: {one_line(exc)}") from exc
    signature = signatures.get(SERVING) or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if signature is None:
        available = "; ".join(f"{name}({_inputs(candidate)})" for name, candidate in signatures.items()) or "none"
        raise ModelError(
            f"SavedModel {path} must have a signature {SERVING} that takes a batch of images; it has {available}"
        )
    signature.kdcompress_model = loaded
    return signature


def _inputs(signature: Any) -> str:
    specs = signature.structured_input_signature[1]
    return ", ".join(f"{name} {spec.dtype.name} {spec.shape}" for name, spec in specs.items())
