"""NumPy arrays: (x, y) of each part, or a dict of arrays as in an npz file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import UsageError
from kdcompress.intake._base import Intake, Kind
from kdcompress.intake._store import store_arrays
from kdcompress.progress import Progress

_NAMES = ("x", "y", "ids", "groups", "subclasses")
_PARTS = ("", "_train", "_val", "_test")


class Arrays(Kind):
    """Arrays of images and labels, as the data set source `arrays` names and checks them."""

    def accepts(self, data: Any) -> bool:
        """Return whether data are a pair of arrays, or arrays by name; see `Kind.accepts`."""
        if isinstance(data, Mapping):
            return ("x" in data or "x_train" in data) and all(isinstance(name, str) for name in data)
        return isinstance(data, tuple | list) and len(data) == 2 and _is_images(data[0]) and _is_labels(data[1])

    def take_in(
        self, parts: Mapping[str, Any], classes: list[str] | None, settings: Mapping[str, Any], progress: Progress
    ) -> Intake:
        """Write the arrays to npy files, which are mapped; see `Kind.take_in`."""
        arrays: dict[str, NDArray[Any]] = {}
        for part, data in parts.items():
            suffix = f"_{part}" if part else ""
            named = data if isinstance(data, Mapping) else {"x": data[0], "y": data[1]}
            arrays |= {f"{name}{suffix}": _to_array(values, f"{name}{suffix}") for name, values in named.items()}
        _check_names(arrays)
        if classes is not None and "classes" in arrays:
            raise UsageError("the names of the classes are in data and in classes: give them once")
        if classes is not None:
            arrays["classes"] = np.array(classes)
        folder = store_arrays(arrays, progress)
        return Intake({"name": "arrays", **settings, "dir": str(folder)}, folder)


KIND = Arrays()


def _is_images(data: Any) -> bool:
    return getattr(data, "ndim", 0) in (3, 4) and hasattr(data, "__array__")


def _is_labels(data: Any) -> bool:
    """Whether data have one value, or a row of them, for each image."""
    if isinstance(data, list | tuple):
        return bool(data) and isinstance(data[0], str | int | float | np.generic)
    return getattr(data, "ndim", 0) in (1, 2) and hasattr(data, "__array__")


def _to_array(values: Any, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype == object and array.ndim == 1 and all(isinstance(value, str) for value in array):
        array = array.astype(str)
    if array.dtype.hasobject:
        kinds = sorted({type(value).__name__ for value in array.ravel()[:1000]})
        raise UsageError(
            f"data: {name} holds Python objects ({', '.join(kinds)}), it must be numbers or text; images of different "
            "sizes are given as a DataFrame of paths and labels"
        )
    return array


def _check_names(arrays: Mapping[str, Any]) -> None:
    known = {f"{name}{part}" for name in _NAMES for part in _PARTS} | {"classes"}
    if unknown := sorted(set(arrays) - known):
        raise UsageError(
            f"data has no array {', '.join(unknown)[:200]}: arrays are named {', '.join(_NAMES)}, with _train, _val or "
            "_test for divided data, and classes"
        )
