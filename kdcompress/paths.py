"""Safe joining of untrusted file names (from JSON, TOML, a table or a model) to a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from kdcompress.errors import KDCompressError

_MAX_SHOWN = 80  # characters of a name in a message


def safe_join(folder: Path, name: object, source: str, error: type[KDCompressError]) -> Path:
    """Join an untrusted relative name to a folder, which it must not leave.

    Backslashes separate parts, too. The path need not exist.

    Args:
        folder: The folder.
        name: Name that was read from a file.
        source: The file that holds the name, and the position in it, for messages.
        error: Exception to raise.

    Returns:
        `folder` / `name`.

    Raises:
        KDCompressError: As `error`, for a name that is not text, is empty or absolute, contains `..` or control
            characters, is the folder itself, or leaves the folder through a link anywhere on the way.
    """
    path = folder.joinpath(*_split(folder, name, source, error))
    resolved, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not resolved.is_relative_to(root):
        raise error(f"{source}: {_shorten(name)} leaves the folder {folder} through a link to {resolved}")
    return path


def is_safe_path(folder: Path, name: object) -> bool:
    """Return whether `safe_join` accepts a name.

    Args:
        folder: The folder.
        name: Name that was read from a file.
    """
    try:
        safe_join(folder, name, "", KDCompressError)
    except KDCompressError:
        return False
    return True


def _split(folder: Path, name: object, source: str, error: type[KDCompressError]) -> tuple[str, ...]:
    if not isinstance(name, str) or not name.strip():
        raise error(f"{source}: a name of a file below {folder} must be text that is not empty, got {_shorten(name)}")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise error(f"{source}: the name {_shorten(name)} holds control characters")
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.is_absolute() or ".." in plain.parts or not plain.parts:
        raise error(
            f"{source}: {_shorten(name)} leads out of the folder {folder}; names are relative to it, and inside"
        )
    return plain.parts


def _shorten(name: object) -> str:
    text = repr(name)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def check_regular_file(path: Path, error: type[KDCompressError]) -> None:
    """Check that a path, if it exists, is a regular file: reading a FIFO or a device would never end.

    Links are followed. A missing path passes; opening it fails later.

    Args:
        path: The path.
        error: Exception to raise.

    Raises:
        KDCompressError: As `error`, for a folder, a FIFO, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file (a FIFO, a socket or a device)"
        raise error(f"{path} is {kind}; it must be a file")
