"""Atomic writes of files and folders, and reading of text and JSON documents as untrusted input."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError, RunError
from kdcompress.leftovers import PARTIAL, owner_tag, remove_leftovers_once
from kdcompress.paths import check_regular_file

_MAX_TEXT = 256 << 20  # bytes of a document that is read into memory


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a temporary file beside `path`, flush it to disk, and rename it to `path`.

    A failure or a kill at any moment leaves the former file, or none. A failure removes the temporary file; that of a
    killed process is removed by the next write into the folder.

    Args:
        path: The file to write; its folder is made if necessary.
        write: Receives the temporary path, which has the suffix of `path`, and writes that file.
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
    """Context manager that makes a temporary folder in `parent` and deletes it afterwards.

    Args:
        parent: The folder into which finished files are moved, on the same file system.

    Yields:
        The temporary folder.
    """
    folder = parent / f"{PARTIAL}{owner_tag()}"
    folder.mkdir(parents=True)
    remove_leftovers_once(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(part: Path, path: Path, clear: Callable[[Path], list[str]] = lambda folder: []) -> None:
    """Flush a finished file or folder to disk and let it replace what is at `path`.

    A kill between the deletion of a former folder and the rename leaves nothing at `path`.

    Args:
        part: The finished file or folder.
        path: Its final path.
        clear: Deletes the files of kdcompress in a former folder and returns the names of all others.

    Raises:
        RunError: If a former folder contains other files.
    """
    for item in (*part.rglob("*"), part):
        sync(item)
    if path.is_dir() and not path.is_symlink():
        if remaining := clear(path):
            raise RunError(f"{path} holds {remaining[0]}, which kdcompress did not write; move it away, then try again")
        with contextlib.suppress(FileNotFoundError):
            path.rmdir()
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to disk, so that a later rename cannot overtake its content.

    Args:
        path: File or folder.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write text atomically as UTF-8.

    Args:
        path: The file.
        text: The text; surrogate escapes, which stand for file names that are not UTF-8, become their original bytes.
    """
    try:
        content = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # an unpaired surrogate, which is part of no file name
        content = text.encode("utf-8", "backslashreplace")
    write_atomically(path, lambda part: part.write_bytes(content))


def valid_utf8(text: str) -> str:
    """Replace what UTF-8 cannot encode, such as file names of other bytes, by escapes such as \\xe4.

    Args:
        text: Text with surrogate escapes.

    Returns:
        Text without them.
    """
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # an unpaired surrogate, which is part of no file name
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value atomically as indented JSON.

    Args:
        path: The file.
        value: A JSON value.

    Raises:
        ValueError: If it contains NaN or infinity.
    """
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    # What UTF-8 cannot encode (a file name of other bytes) becomes a JSON escape
    write_atomically(path, lambda part: part.write_bytes(text.encode("utf-8", "backslashreplace")))


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays atomically as an uncompressed npz file.

    Args:
        path: The file.
        arrays: Arrays by name.
    """

    def write(part: Path) -> None:
        with part.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)


def read_text(path: Path, error: type[KDCompressError], remedy: str) -> str:
    """Read a text file: UTF-8, possibly with a byte order mark, or UTF-16 with one.

    Args:
        path: The file.
        error: Exception to raise.
        remedy: What to do about a damaged file, for the message.

    Returns:
        The text.

    Raises:
        FileNotFoundError: If the file does not exist.
        KDCompressError: As `error`, if it is not a regular file, not such text, or too large for a document.
    """
    check_regular_file(path, error)
    if (size := path.stat().st_size) > _MAX_TEXT:
        raise error(f"{path} is damaged ({size:,} bytes are too many for it); {remedy}")
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return path.read_text(encoding)
    except UnicodeError as exc:
        reason = f"{exc.reason} at byte {exc.start}" if isinstance(exc, UnicodeDecodeError) else str(exc)
        raise error(f"{path} is damaged (no UTF-8 text: {reason}); {remedy}") from exc


def read_json(path: Path, error: type[KDCompressError], remedy: str) -> dict[str, Any]:
    """Read a file that contains a JSON object.

    Args:
        path: The file.
        error: Exception to raise.
        remedy: What to do about a damaged file, for the message.

    Returns:
        The object.

    Raises:
        FileNotFoundError: If the file does not exist.
        KDCompressError: As `error`, if it is not a JSON object, nested too deeply, or refused by `read_text`.
    """
    return parse_json(read_text(path, error, remedy), str(path), error, remedy)


def parse_json(text: str, name: str, error: type[KDCompressError], remedy: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        text: The text.
        name: Where it is from, for the message.
        error: Exception to raise.
        remedy: What to do about a damaged document, for the message.

    Returns:
        The object.

    Raises:
        KDCompressError: As `error`, if it is not a JSON object, or nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as exc:
        raise error(f"{name} is damaged ({str(exc).splitlines()[0]}); {remedy}") from exc
    if not isinstance(value, dict):
        raise error(f"{name} is damaged (it must hold an object, got {type(value).__name__}); {remedy}")
    return value


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
