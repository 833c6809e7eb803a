"""The published JSON schemas, and whether a document keeps to its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


def schema_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def check_published(path: Path) -> None:
    """A document that a command left keeps to the schema of its name."""
    check_document(json.loads(path.read_text(encoding="utf-8")), path.stem)


def check_document(document: dict[str, Any], name: str) -> None:
    assert document["schema_version"] == 1
    jsonschema.Draft202012Validator(schema_of(name)).validate(document)
