"""The JSON documents that commands leave in a run or a sweep, read as a stranger's: every value that is used is of the
type that it must have, and every number is finite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kdcompress.errors import RunError
from kdcompress.files import read_json, write_json
from kdcompress.runs.schemas import FILES, PRINTED, SCHEMA_VERSION, Kept, versioned
from kdcompress.sealed import strip_seal


def read_checked(path: Path, remedy: str) -> Kept:
    """The document in a file of one of these names, as its type; FileNotFoundError if there is none.

    Errors: RunError, with the `remedy`, names the first key that is missing or of another type.
    """
    found = read_json(path, RunError, remedy)
    if not strip_seal(found):
        raise RunError(f"{path} is damaged (it is not as it was written); {remedy}")
    try:
        document = FILES[path.name].of(found, strict=True)
    except ValidationError as exc:
        problem = exc.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise RunError(f"{path} is damaged ({place}: {problem['msg'].lower()}); {remedy}") from exc
    if document.schema_version > SCHEMA_VERSION:
        raise RunError(
            f"{path} was written by a later version of kdcompress (schema_version {document.schema_version}, this one "
            f"knows {SCHEMA_VERSION}); update kdcompress, or {remedy}"
        )
    return document


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write one of these documents, with the version of its schema, whole or not at all."""
    write_json(path, versioned(document))


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON schemas published in docs/schemas: of files by their stems, of what commands print by their names."""
    documents = {**{Path(name).stem: document for name, document in FILES.items()}, **PRINTED}
    return {name: document.json_schema() for name, document in documents.items()}
