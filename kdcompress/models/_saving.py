"""Saving of Keras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir
from kdcompress.errors import ModelError
from kdcompress.files import write_atomically
from kdcompress.models._digest import model_digest
from kdcompress.sealed import is_sealed, seal


def save_model(model: Any, path: Path) -> None:
    """Save a model atomically, without optimizer and losses, so that plain Keras can open the file.

    Args:
        model: A Keras model. A compiled one (from a user's function, say) is uncompiled.
        path: The `.keras` file.
    """
    if getattr(model, "compiled", False):
        model.compiled = False
        model.optimizer = None
    write_atomically(path, lambda part: model.save(part))


def check_keras_model(model: Any) -> None:
    """Check that an object is a Keras model.

    Args:
        model: The object.

    Raises:
        ModelError: If it is not.
    """
    import keras

    if not isinstance(model, keras.Model):
        text = " ".join(repr(model).split())[:100]
        raise ModelError(
            f"a model is a zoo name, a .keras file, module:function or a Keras 3 model, got {text}; a torch.nn.Module "
            "is given as module:function, or as its file of torch.export.save (.pt2)"
        )


def cache_model(model: Any) -> Path:
    """Save a model in memory to the cache.

    Args:
        model: A Keras model, which stays compiled if it is.

    Returns:
        The `.keras` file, in a folder named by the model's digest.

    Raises:
        ModelError: If it is not a Keras model.
    """
    check_keras_model(model)
    path = cache_dir("models") / model_digest(model) / "model.keras"
    if not is_sealed(path):
        write_atomically(path, model.save)
        seal(path)
    return path
