"""File system queries on untrusted paths, which never open anything that could block."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from kdcompress.errors import DataError, one_line
from kdcompress.paths import check_regular_file
from kdcompress.remote import local_path
from kdcompress.urls import is_url

# Of Windows, and of the file servers of Synology and QNAP; compared without case
_SYSTEM_FOLDERS = frozenset(
    ("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "lost+found", "system volume information")
)


class SkipReason(Enum):
    """Why an entry below a folder of images is not used: for one entry, and for several."""

    OTHER = ("file that is no image", "files that are no images")
    HIDDEN_FILE = ("hidden file", "hidden files")
    HIDDEN_FOLDER = ("hidden folder", "hidden folders")
    UNREADABLE = ("folder without permission to read it", "folders without permission to read them")
    REPEATED = (
        "link to a folder that contains it or is used already",
        "links to folders that contain them or are used already",
    )
    BROKEN = ("broken link", "broken links")
    SPECIAL = ("FIFO, socket or device", "FIFOs, sockets or devices")


OnSkip: TypeAlias = Callable[[Path, SkipReason], None]


def expand_user(text: str) -> Path:
    """Expand `~` in a path of the user's; a URL becomes the path of its copy in the cache.

    Args:
        text: The path or URL.

    Returns:
        The path.

    Raises:
        DataError: If the home folder is unknown, or what the URL leads to cannot be copied.
    """
    if is_url(text):
        return local_path(text)
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


def walk_files(folder: Path, on_skip: OnSkip | None = None) -> Iterator[Path]:
    """Find regular files recursively, each folder once, links to folders last.

    Hidden folders, and links to a folder that contains the link, are not entered.

    Args:
        folder: The folder.
        on_skip: Receives each entry that is skipped, and the reason.

    Yields:
        Files, in no particular order.
    """
    skip = on_skip or (lambda path, reason: None)
    visited = {_identity(parent) for parent in folder.resolve().parents}
    pending, links = [folder], list[Path]()
    while pending or links:
        current = pending.pop() if pending else links.pop()
        if (identity := _identity(current)) in visited:
            skip(current, SkipReason.REPEATED)
            continue
        visited.add(identity)
        for entry in _scan(current, skip):
            path = Path(entry.path)
            if not _is_dir(entry):
                if _is_regular(entry):
                    yield path
                else:
                    skip(path, SkipReason.BROKEN if entry.is_symlink() else SkipReason.SPECIAL)
            elif is_hidden_folder(entry.name):
                skip(path, SkipReason.HIDDEN_FOLDER)
            elif entry.is_symlink():
                links.append(path)
            else:
                pending.append(path)
        if not pending:
            links.sort(reverse=True)


def is_hidden_folder(name: str) -> bool:
    """Return whether a folder of this name is hidden, or what operating systems and file servers keep for themselves.

    Args:
        name: Name of the folder.
    """
    return name.startswith((".", "__")) or name.casefold() in _SYSTEM_FOLDERS


def _scan(folder: Path, skip: OnSkip) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:  # such as lost+found
        skip(folder, SkipReason.UNREADABLE)
        return []


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except PermissionError as exc:
        raise DataError(f"{path} cannot be read (permission denied)") from exc
    except (OSError, ValueError):
        return None
