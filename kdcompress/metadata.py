"""What `export` writes into a model file about itself, read as a stranger's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError


def read_classes(metadata: Mapping[str, Any], path: Path) -> list[str] | None:
    """The names of the classes in the metadata of a file, as `export` writes them; None in a file of another tool.

    Errors: ModelError for metadata of ours that are damaged.
    """
    ours, names = "kdcompress" in metadata, metadata.get("classes")
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        return names
    if names is not None and ours:
        raise ModelError(f"{path}: the names of the classes in its metadata are damaged; export it again")
    return None


def parse_metadata(text: str | bytes, path: Path) -> dict[str, Any]:
    """The metadata that `export` wrote as JSON; ModelError if they are damaged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError(f"{path}: its metadata are damaged ({str(exc).splitlines()[0]}); export it again") from exc
    if not isinstance(found, dict):
        raise ModelError(f"{path}: its metadata are damaged (no object); export it again")
    return found
