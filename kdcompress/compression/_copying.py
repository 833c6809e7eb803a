"""Copies of Keras 3 models, so that a step leaves the student that it was given as it is."""

from __future__ import annotations

from typing import Any

from kdcompress.training.checkpoints import get_values, set_values


def copy_model(model: Any) -> Any:
    """Copy a functional or Sequential model with its weights and the seeds of its random layers.

    Args:
        model: Keras 3 model.
    """
    import keras

    copy = keras.models.clone_model(model)
    set_values(copy.variables, get_values(model.variables))
    return copy
