"""How many bytes a model file takes, without what only training needs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from kdcompress.files import size_of
from kdcompress.leftovers import temporary_folder
from kdcompress.models import external_files, save_model


def model_bytes(path: Path, model: Any = None) -> int:
    """The bytes of a model file or folder; of a `.keras` file with an optimizer in it, those it has without.

    The weights that an ONNX file keeps in files beside it count. `model` is what the `.keras` file holds, opened.
    """
    if path.suffix == ".onnx":
        return sum(size_of(file) for file in (path, *external_files(path)))
    if path.suffix != ".keras" or not _has_optimizer(path):
        return size_of(path)
    return saved_bytes(model)


def saved_bytes(model: Any) -> int:
    """The bytes that a Keras model's `.keras` file has, without optimizer; the model stays as it is."""
    compiled, optimizer = getattr(model, "compiled", False), getattr(model, "optimizer", None)
    with temporary_folder() as folder:
        path = folder / "model.keras"
        try:
            save_model(model, path)
        finally:
            if compiled:
                model.compiled, model.optimizer = compiled, optimizer
        return size_of(path)


def _has_optimizer(path: Path) -> bool:
    import h5py

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as weights, h5py.File(weights) as tree:
        return len(tree.get("optimizer", {}).get("vars", {})) > 0
