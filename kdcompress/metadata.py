"""Metadata that `export` writes into model files, read as untrusted input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError


def read_classes(metadata: Mapping[str, Any], path: Path) -> list[str] | None:
    """Read the class names from the metadata of a model file.

    Args:
        metadata: Metadata of the file.
        path: The file, for messages.

    Returns:
        Class names, or None for a file of another tool.

    Raises:
        ModelError: If metadata written by kdcompress are damaged.
    """
    is_ours, names = "kdcompress" in metadata, metadata.get("classes")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return names
    if names is not None and is_ours:
        raise ModelError(f"{path}: the names of the classes in its metadata are damaged; export it again")
    return None


def parse_metadata(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse metadata that `export` wrote as JSON.

    Args:
        text: The JSON document.
        path: The file it comes from, for messages.

    Returns:
        The metadata.

    Raises:
        ModelError: If they are damaged.
    """
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError(f"{path}: its metadata are damaged ({str(exc).splitlines()[0]}); export it again") from exc
    if not isinstance(metadata, dict):
        raise ModelError(f"{path}: its metadata are damaged (no object); export it again")
    return metadata
