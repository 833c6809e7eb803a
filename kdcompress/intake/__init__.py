"""Data passed from Python, written to the cache once, so that every later command of a run finds them.

One module per kind of data, with KIND, a `Kind`; further modules start with an underscore.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.errors import UsageError
from kdcompress.intake._base import Intake, Kind
from kdcompress.intake._parts import split_parts
from kdcompress.progress import Progress

__all__ = ["Intake", "Kind", "take_in"]

_TAKEN = (
    "(x, y) or ((x_train, y_train), (x_test, y_test)) of NumPy arrays, a dict of arrays as in an npz file, a pandas "
    "DataFrame of paths and labels, a tf.data.Dataset or datasets.Dataset of images and labels, or "
    '{"train": ..., "test": ...} of one of these kinds'
)


def take_in(data: Any, classes: Sequence[str] | None, settings: Mapping[str, Any], progress: Progress) -> Intake:
    """Write data to the cache.

    Args:
        data: Data of one of the kinds in this folder.
        classes: Class names in the order of the labels' numbers; by default those that the data have.
        settings: Settings of the recipe's section `data`, which may determine the size of images.
        progress: Listener.

    Returns:
        The settings of a data set source that reads them.

    Raises:
        UsageError: The data are of no known kind, or the classes are invalid.
        DataError: They are empty or inconsistent.
    """
    names = _check_classes(classes)
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        kind: Kind = importlib.import_module(f"{__name__}.{path.stem}").KIND
        parts = split_parts(data, kind.accepts)
        if parts is not None:
            return kind.take_in(parts, names, settings, progress)
    raise UsageError(f"data takes {_TAKEN}; got {_describe(data)}. Folders of images: data_dir, and a recipe")


def _check_classes(classes: Sequence[str] | None) -> list[str] | None:
    if classes is None:
        return None
    names = list(classes)
    if isinstance(classes, str) or not all(isinstance(name, str) and name for name in names):
        raise UsageError(f"classes is a list of names, got {str(classes)[:100]!r}")
    if len(set(names)) < max(len(names), 2):
        raise UsageError(f"classes must be two or more different names, got {', '.join(names)[:100]}")
    return names


def _describe(data: Any) -> str:
    if isinstance(data, tuple | list):
        inner = ", ".join(type(item).__name__ for item in data[:4])
        return f"a {type(data).__name__} of {len(data)} ({inner}{', ...' if len(data) > 4 else ''})"
    if isinstance(data, Mapping):
        return f"a dict with {', '.join(map(str, list(data)[:8])) or 'no keys'}"
    return f"{type(data).__module__}.{type(data).__qualname__}"
