"""Files that appear whole or not at all, and the digests that name what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError
from kdcompress.paths import require_regular

_MOST_TEXT = 256 << 20  # bytes of a document that is read into memory
_PARTIAL = ".kdcompress-part-"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, and rename it to `path`.

    `write` receives a path with the same suffix as `path`. A failure or a kill at any moment leaves the old
    `path`, or none; a failure also removes the half-written neighbour.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{_PARTIAL}{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        write(part)
        move_into_place(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder beside files to come, for work that is looked at before it takes their place; gone afterwards."""
    folder = parent / f"{_PARTIAL}{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(part: Path, path: Path) -> None:
    """Flush a finished file or folder to disk and give it the place of an older one at `path`, if there is one.

    A kill in the moment between two folders leaves none at `path`.
    """
    for item in (*part.rglob("*"), part):
        sync(item)
    if path.is_dir():
        shutil.rmtree(path)
    part.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Whether `path` is what a killed `write_atomically` left."""
    return path.name.startswith(_PARTIAL)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def read_document(path: Path, error: type[KDCompressError], remedy: str) -> str:
    """The UTF-8 text of a regular file; FileNotFoundError if there is none.

    Errors: `error`, with the `remedy`, for what is no text, no regular file, or too large to be a document.
    """
    require_regular(path, error)
    if (size := path.stat().st_size) > _MOST_TEXT:
        raise error(f"{path} is damaged ({size:,} bytes are too many for it); {remedy}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise error(f"{path} is damaged (no UTF-8 text: {exc.reason} at byte {exc.start}); {remedy}") from exc


def read_json(path: Path, error: type[KDCompressError], remedy: str) -> dict[str, Any]:
    """The JSON object in a file; FileNotFoundError if there is none.

    Errors: `error`, with the `remedy`, for what is no JSON object, nested without end, or as `read_document`.
    """
    text = read_document(path, error, remedy)
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise error(f"{path} is damaged ({str(exc).splitlines()[0]}); {remedy}") from exc
    if not isinstance(found, dict):
        raise error(f"{path} is damaged (it must hold an object, got {type(found).__name__}); {remedy}")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as an uncompressed npz file, whole or not at all."""

    def write(part: Path) -> None:
        with part.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)


def sync(path: Path) -> None:
    """Flush a file or a folder to disk, so that a rename after it cannot overtake its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def content_digest(path: Path) -> str:
    """The SHA-256 of a file, or of the names and digests of all files in a folder."""
    if path.is_file():
        return sha256_of(path)
    return digest_of({str(item.relative_to(path)): sha256_of(item) for item in path.rglob("*") if item.is_file()})


def digest_of(value: Any) -> str:
    """The SHA-256 of a JSON value in canonical form, as 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    items = [path] if path.is_file() else path.rglob("*")
    return sum(item.stat().st_size for item in items if item.is_file())
