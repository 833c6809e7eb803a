"""Setting payloads off where nobody guards: a payload that cannot go off proves nothing of what stops it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

import numpy as np


def keras_file(path: str) -> None:
    """Load a Keras model with every guard off, and run it."""
    import keras

    keras.config.enable_unsafe_deserialization()
    with contextlib.suppress(Exception):
        keras.saving.load_model(path, compile=True, safe_mode=False)(np.zeros((1, 28, 28, 1), np.float32))


def saved_model(path: str) -> None:
    """Load a SavedModel, and run it."""
    import tensorflow as tf

    with contextlib.suppress(Exception):
        tf.saved_model.load(path).signatures["serving_default"](image=tf.zeros([1, 28, 28, 1]))


def pickled(path: str) -> None:
    """Unpickle every array of an npz file."""
    with contextlib.suppress(Exception), np.load(path, allow_pickle=True) as arrays:
        for name in arrays.files:
            arrays[name].tolist()


def module(path: str) -> None:
    """Import a module that lies beside, or in, `path`."""
    folder = Path(path)
    sys.path[:0] = [str(folder if folder.is_dir() else folder.parent), str(Path.cwd())]
    for name in ("evilmod", "kdcompress", "keras", "onnx", "numpy"):
        sys.modules.pop(name, None)
        with contextlib.suppress(Exception):
            importlib.import_module(name)
