"""File system queries on untrusted paths, which never open anything that could block."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kdcompress.errors import DataError, one_line
from kdcompress.paths import check_regular_file


def expand_user(text: str) -> Path:
    """Expand `~` in a path of the user's.

    Args:
        text: The path.

    Returns:
        The path.

    Raises:
        DataError: If the home folder is unknown.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        raise DataError(f"{text[:200]}: {one_line(exc)}") from exc


def exists(path: Path) -> bool:
    """Return whether a path exists; False for names that no file system accepts.

    Args:
        path: The path.

    Raises:
        DataError: If it cannot be accessed.
    """
    return _mode(path) is not None


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder or a link to one.

    Args:
        path: The path.

    Raises:
        DataError: If it cannot be accessed.
    """
    return stat.S_ISDIR(_mode(path) or 0)


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file or a link to one.

    Args:
        path: The path.

    Raises:
        DataError: If it is a FIFO, a socket or a device, or cannot be accessed.
    """
    mode = _mode(path)
    if mode is None or stat.S_ISDIR(mode):
        return False
    check_regular_file(path, DataError)
    return True


def walk_files(folder: Path) -> Iterator[Path]:
    """Find regular files recursively, without following links to folders or entering unreadable folders.

    Args:
        folder: The folder.

    Yields:
        Files, in no particular order.
    """
    pending = [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as iterator:
                entries = list(iterator)
        except PermissionError:  # such as lost+found
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif _is_regular(entry):
                yield Path(entry.path)


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except PermissionError as exc:
        raise DataError(f"{path} cannot be read (permission denied)") from exc
    except (OSError, ValueError):
        return None
