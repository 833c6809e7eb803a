"""Names that come from a file (JSON, TOML, a table, a model), joined to their folder: they never lead out of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from kdcompress.errors import KDCompressError

_MAX_SHOWN = 80  # characters of a name in a message


def safe_join(folder: Path, name: object, what: str, error: type[KDCompressError]) -> Path:
    """`folder` / `name`, where `name` was read from a file; `what` names that file, and the place in it, in errors.

    Backslashes separate parts, too. The path need not exist. Errors: `error` for a name that is no text, empty,
    absolute, that climbs (`..`), names the folder itself, holds control characters, or leaves the folder through a
    link, which need not be its last part.
    """
    path = folder.joinpath(*_parts(folder, name, what, error))
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not real.is_relative_to(root):
        raise error(f"{what}: {_shown(name)} leaves the folder {folder} through a link to {real}")
    return path


def is_safe_path(folder: Path, name: object) -> bool:
    """Whether `below` would take the name."""
    try:
        safe_join(folder, name, "", KDCompressError)
    except KDCompressError:
        return False
    return True


def _parts(folder: Path, name: object, what: str, error: type[KDCompressError]) -> tuple[str, ...]:
    if not isinstance(name, str) or not name.strip():
        raise error(f"{what}: a name of a file below {folder} must be text that is not empty, got {_shown(name)}")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise error(f"{what}: the name {_shown(name)} holds control characters")
    plain = PurePosixPath(name.replace("\\", "/"))
    if plain.is_absolute() or ".." in plain.parts or not plain.parts:
        raise error(f"{what}: {_shown(name)} leads out of the folder {folder}; names are relative to it, and inside")
    return plain.parts


def _shown(name: object) -> str:
    text = repr(name)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def check_regular_file(path: Path, error: type[KDCompressError]) -> None:
    """`error` for a path that is there and no regular file: reading a FIFO or a device would never end.

    Links are followed; a path that is not there is left to whoever opens it.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file (a FIFO, a socket or a device)"
        raise error(f"{path} is {kind}; it must be a file")
