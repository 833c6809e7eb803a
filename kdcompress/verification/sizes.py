"""Sizes of model files without the optimizer, which only training needs."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.leftovers import temporary_folder
from kdcompress.models import external_files, save_model
from kdcompress.sizes import size_of


def model_bytes(path: Path, model: Any = None) -> int:
    """Measure the size of a model file or folder.

    Args:
        path: Model file or folder. External weight files of an ONNX model count, the optimizer of a `.keras` file
            does not.
        model: The model of a `.keras` file, already loaded.

    Returns:
        Bytes.
    """
    if path.suffix == ".onnx":
        return sum(size_of(file) for file in (path, *external_files(path)))
    if path.suffix != ".keras" or not _has_optimizer(path):
        return size_of(path)
    return saved_bytes(model)


def saved_bytes(model: Any) -> int:
    """Measure the size of a Keras model saved as a `.keras` file without its optimizer.

    Args:
        model: Keras model; it is left unchanged.

    Returns:
        Bytes.
    """
    compiled, optimizer = getattr(model, "compiled", False), getattr(model, "optimizer", None)
    with temporary_folder() as folder:
        path = folder / "model.keras"
        try:
            save_model(model, path)
        finally:
            if compiled:
                model.compiled, model.optimizer = compiled, optimizer
        return size_of(path)


def gzipped_weight_bytes(model: Any) -> int:
    """Measure how small the weights of a model become by gzip, which finds zeros and recurring values.

    Args:
        model: Keras model.

    Returns:
        Bytes of all weights, one after the other, compressed at level 9.
    """
    return len(gzip.compress(b"".join(np.asarray(weight).tobytes() for weight in model.weights), 9, mtime=0))


def _has_optimizer(path: Path) -> bool:
    import h5py

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as weights, h5py.File(weights) as tree:
        return len(tree.get("optimizer", {}).get("vars", {})) > 0
