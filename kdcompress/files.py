"""Files that appear whole or not at all, and the digests that name what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        sync(part)
        part.replace(path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def is_partial(path: Path) -> bool:
    """Whether `path` is what a killed `write_atomically` left."""
    return path.name.startswith(_PARTIAL)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


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


def digest_of(value: Any) -> str:
    """The SHA-256 of a JSON value in canonical form, as 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def folder_bytes(folder: Path) -> int:
    """The sum of the sizes of all files below `folder`, in bytes."""
    return sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
