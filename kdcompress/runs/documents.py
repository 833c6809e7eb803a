"""Reading and writing of the JSON documents of runs and sweeps, which are validated as untrusted input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from kdcompress.errors import RunError
from kdcompress.files import read_json, write_json
from kdcompress.runs.names import MACHINES
from kdcompress.runs.schemas import FILES, PRINTED, SCHEMA_VERSION, Benchmark, Kept, versioned
from kdcompress.sealed import strip_seal

Document = TypeVar("Document", bound=Kept)


def read_checked(path: Path, remedy: str) -> Kept:
    """Read and validate a document.

    Args:
        path: A file with one of the names in `FILES`, or of a machine.
        remedy: How to restore the file, for errors.

    Returns:
        The document, of the type that its name stands for.

    Raises:
        FileNotFoundError: There is no such file.
        RunError: The file is damaged, with the first key that is missing or of another type, or of a later version.
    """
    kind = Benchmark if path.parent.name == MACHINES else FILES[path.name]
    return check_document(read_json(path, RunError, remedy), kind, str(path), remedy)


def check_document(content: dict[str, Any], kind: type[Document], name: str, remedy: str) -> Document:
    """Validate the content of a document.

    Args:
        content: The content, as parsed from JSON.
        kind: The type of the document.
        name: Its name for errors, such as the path of its file.
        remedy: How to restore it, for errors.

    Returns:
        The document.

    Raises:
        RunError: It is damaged, with the first key that is missing or of another type, or of a later version.
    """
    if not strip_seal(content):
        raise RunError(f"{name} is damaged (it is not as it was written); {remedy}")
    try:
        document = kind.of(content, strict=True)
    except ValidationError as exc:
        problem = exc.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise RunError(f"{name} is damaged ({key}: {problem['msg'].lower()}); {remedy}") from exc
    if document.schema_version > SCHEMA_VERSION:
        raise RunError(
            f"{name} was written by a later version of kdcompress (schema_version {document.schema_version}, this one "
            f"knows {SCHEMA_VERSION}); update kdcompress, or {remedy}"
        )
    return document


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document atomically, with the version of its schema.

    Args:
        path: The file.
        document: The document, without `schema_version`.
    """
    write_json(path, versioned(document))


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas published in docs/schemas, by the stem of the file or the name of what is printed."""
    documents = {**{Path(name).stem: document for name, document in FILES.items()}, **PRINTED}
    return {name: document.json_schema() for name, document in documents.items()}
