"""Files that appear whole or not at all, and the digests that name what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError, RunError
from kdcompress.leftovers import PARTIAL, owner_tag, remove_leftovers_once
from kdcompress.paths import check_regular_file

_MAX_TEXT = 256 << 20  # bytes of a document that is read into memory
# A file that was written just now may be written again without a new time: clocks of file systems tick slowly
_SETTLED_NS = 2_000_000_000
_DIGESTS: dict[Path, tuple[tuple[int, ...], str]] = {}


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, and rename it to `path`.

    `write` receives a path with the same suffix as `path`. A failure or a kill at any moment leaves the old
    `path`, or none; a failure also removes the half-written neighbour, and the next write into the folder one that
    was killed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers_once(path.parent)
    part = path.with_name(f"{PARTIAL}{owner_tag()}-{path.name}")
    try:
        write(part)
        move_into_place(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A folder beside files to come, for work that is looked at before it takes their place; gone afterwards."""
    folder = parent / f"{PARTIAL}{owner_tag()}"
    folder.mkdir(parents=True)
    remove_leftovers_once(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(part: Path, path: Path, empty: Callable[[Path], list[str]] = lambda folder: []) -> None:
    """Flush a finished file or folder to disk and give it the place of an older one at `path`, if there is one.

    `empty` deletes what is ours in an older folder, and says what is not. A kill in the moment between two folders
    leaves none at `path`. Errors: RunError for an older folder that holds anything else.
    """
    for item in (*part.rglob("*"), part):
        sync(item)
    if path.is_dir() and not path.is_symlink():
        if kept := empty(path):
            raise RunError(f"{path} holds {kept[0]}, which kdcompress did not write; move it away, then try again")
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()
    part.replace(path)
    sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; names of files that are not UTF-8 get their own bytes back."""
    try:
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character, which no name of a file has
        content = text.encode("utf-8", "backslashreplace")
    write_atomically(path, lambda part: part.write_bytes(content))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; NaN and infinity are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    # In JSON, what UTF-8 cannot say (a file's name in other bytes) is said by an escape
    write_atomically(path, lambda part: part.write_bytes(text.encode("utf-8", "backslashreplace")))


def read_text(path: Path, error: type[KDCompressError], remedy: str) -> str:
    """The UTF-8 text of a regular file; FileNotFoundError if there is none.

    Errors: `error`, with the `remedy`, for what is no text, no regular file, or too large to be a document.
    """
    check_regular_file(path, error)
    if (size := path.stat().st_size) > _MAX_TEXT:
        raise error(f"{path} is damaged ({size:,} bytes are too many for it); {remedy}")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise error(f"{path} is damaged (no UTF-8 text: {exc.reason} at byte {exc.start}); {remedy}") from exc


def read_json(path: Path, error: type[KDCompressError], remedy: str) -> dict[str, Any]:
    """The JSON object in a file; FileNotFoundError if there is none.

    Errors: `error`, with the `remedy`, for what is no JSON object, nested without end, or as `read_text`.
    """
    text = read_text(path, error, remedy)
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise error(f"{path} is damaged ({str(exc).splitlines()[0]}); {remedy}") from exc
    if not isinstance(found, dict):
        raise error(f"{path} is damaged (it must hold an object, got {type(found).__name__}); {remedy}")
    return found


_SEAL = "seal"


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """As `write_json`, with the SHA-256 of the value in it: what nothing else vouches for."""
    plain = json.loads(json.dumps(value, allow_nan=False))
    write_json(path, {**plain, _SEAL: json_digest(plain)})


def read_sealed(path: Path, keys: Collection[str]) -> dict[str, Any]:
    """The value that `write_sealed` wrote, or an earlier version without a seal; it has no other keys than `keys`.

    Errors: ValueError for one that is damaged; FileNotFoundError.
    """
    try:
        found = read_json(path, KDCompressError, "it is made anew")
    except KDCompressError as exc:
        raise ValueError(str(exc)) from exc
    if not strip_seal(found) or set(found) - set(keys):
        raise ValueError(f"{path} is not as it was written")
    return found


def seal(path: Path) -> None:
    """Write down the SHA-256 of a file in a document beside it."""
    write_sealed(path.with_suffix(".json"), {"sha256": sha256_of(path)})


def is_sealed(path: Path) -> bool:
    """Whether a file is there as it was sealed."""
    try:
        return bool(read_sealed(path.with_suffix(".json"), ("sha256",))["sha256"] == cached_sha256(path))
    except (OSError, ValueError, KeyError):
        return False


def strip_seal(found: dict[str, Any]) -> bool:
    """Take the seal off a value, if it has one; returns whether the value is as it was sealed."""
    seal = found.pop(_SEAL, None)
    return seal is None or seal == json_digest(found)


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
    """The SHA-256 of a regular file's bytes, as 64 hex digits; KDCompressError if it is another kind of thing."""
    check_regular_file(path, KDCompressError)
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """As `sha256_of`, once per process of a file that does not change: large ones are vouched for again and again."""
    facts = path.stat()
    seen = (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
    if (known := _DIGESTS.get(path)) and known[0] == seen:
        return known[1]
    digest = sha256_of(path)
    if time.time_ns() - max(seen[1:3]) > _SETTLED_NS:
        _DIGESTS[path] = seen, digest
    return digest


def content_digest(path: Path) -> str:
    """The SHA-256 of a file, or of the names and digests of all files in a folder."""
    if path.is_file():
        return sha256_of(path)
    return json_digest({str(item.relative_to(path)): sha256_of(item) for item in path.rglob("*") if item.is_file()})


def json_digest(value: Any) -> str:
    """The SHA-256 of a JSON value in canonical form, as 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    items = [path] if path.is_file() else path.rglob("*")
    return sum(item.stat().st_size for item in items if item.is_file())
