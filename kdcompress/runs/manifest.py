"""The schema of a run's manifest.json, read as untrusted input."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from kdcompress._version import __version__
from kdcompress.errors import RunError
from kdcompress.files import read_json
from kdcompress.paths import safe_join
from kdcompress.runs.names import MANIFEST

SCHEMA = 1
MADE_BY = f"kdcompress {__version__}"
_REMEDY = "--fresh starts the run anew"
_MAX_CLASSES = 1_000_000

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0)]
Shape = tuple[PositiveInt, PositiveInt, PositiveInt]


class _Entry(BaseModel):
    """A JSON object to which later versions may add keys."""

    # Validators are built on first use: most commands read no manifest, and building them is slow
    model_config = ConfigDict(
        extra="allow", strict=True, allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )


class _File(_Entry):
    sha256: Sha256
    bytes: Size
    digest: str = ""


class _KeptTeacher(_Entry):
    name: str
    file: str | None
    digest: str
    input_shape: Shape = Field(strict=False)


class _Data(_Entry):
    name: str
    source: str
    fingerprint: str
    n_train: Size = 0
    n_val: Size = 0
    n_test: Size = 0


class _Manifest(_Entry):
    """The keys of a manifest that commands read."""

    schema_: int = Field(alias="schema")
    made_by: str
    files: dict[str, _File] = Field(max_length=1_000_000)
    model_files: dict[str, str] = {}
    dataset: _Data | None = None
    split: str = ""
    start: str = ""  # digest of the student that was compressed
    classes: list[str] | None = Field(None, min_length=2, max_length=_MAX_CLASSES)
    subclasses: list[list[str]] | None = None
    input_shape: Shape | None = Field(None, strict=False)
    teachers: list[_KeptTeacher] = []
    seconds: float = Field(0.0, ge=0, strict=False)
    seed: int = 0
    versions: dict[str, str] = {}
    command: list[str] = []


def minor_version(made_by: str) -> str:
    """Return "kdcompress 0.2" of "kdcompress 0.2.1"."""
    return ".".join(made_by.split(".")[:2])


def empty_manifest() -> dict[str, Any]:
    """Return the manifest of a run without files."""
    return {"schema": SCHEMA, "made_by": MADE_BY, "files": {}}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read and validate the manifest of a run.

    Args:
        folder: The run folder.

    Returns:
        The manifest, or None if there is none.

    Raises:
        RunError: If it is damaged, of another version, or contains a file name outside the folder.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path, RunError, _REMEDY)
    except FileNotFoundError:
        return None
    try:
        checked = _Manifest.model_validate(manifest)
    except ValidationError as exc:
        problem = exc.errors()[0]
        key = ".".join(map(str, problem["loc"])).removesuffix("_")
        raise RunError(f"{path} is damaged ({key}: {problem['msg'].lower()}); {_REMEDY}") from exc
    if checked.schema_ != SCHEMA:
        raise RunError(f"{path} was written by another version (schema {checked.schema_}); {_REMEDY}")
    for name in (*checked.files, *(teacher.file for teacher in checked.teachers if teacher.file is not None)):
        safe_join(folder, name, str(path), RunError)
    return manifest
