"""The serving signature of a SavedModel folder: what is called to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.graph_check import check_saved_model

SERVING = "serving_default"


def open_signature(path: Path) -> Any:
    """The signature `serving_default` of a SavedModel, or its only one, with named inputs and outputs.

    Its attribute `kdcompress_model` holds the model alive. Errors: ModelError for a model that could do more than
    compute, see `check_saved_model`, and one that lists the signatures that there are.
    """
    import tensorflow as tf

    check_saved_model(path)
    try:
        loaded = tf.saved_model.load(str(path))
        signatures = dict(loaded.signatures)
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as a SavedModel: {one_line(exc)}") from exc
    found = signatures.get(SERVING) or (next(iter(signatures.values())) if len(signatures) == 1 else None)
    if found is None:
        there = "; ".join(f"{name}({_inputs(one)})" for name, one in signatures.items()) or "none at all"
        raise ModelError(
            f"SavedModel {path} must have a signature {SERVING} that takes a batch of images; it has {there}"
        )
    found.kdcompress_model = loaded
    return found


def _inputs(signature: Any) -> str:
    specs = signature.structured_input_signature[1]
    return ", ".join(f"{name} {spec.dtype.name} {spec.shape}" for name, spec in specs.items())
