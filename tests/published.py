"""The published JSON schemas, and whether a document keeps to its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"


def schema_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name.replace(".json", ".schema.json")).read_text(encoding="utf-8"))
    return found


def check_published(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema_version"] == 1
    jsonschema.Draft202012Validator(schema_of(path.name)).validate(document)
