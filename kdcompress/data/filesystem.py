"""Places on disk as a stranger may have laid them: looked at without surprises, and never opened if that could hang."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kdcompress.errors import DataError, one_line
from kdcompress.paths import check_regular_file


def expand_user(text: str) -> Path:
    """A path that the user wrote, `~` and all; DataError for a home that there is not."""
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        raise DataError(f"{text[:200]}: {one_line(exc)}") from exc


def exists(path: Path) -> bool:
    """Whether anything is there; a name that no file system takes is of nothing."""
    return _mode(path) is not None


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one."""
    return stat.S_ISDIR(_mode(path) or 0)


def is_file(path: Path) -> bool:
    """Whether it is a file or a link to one; DataError for what must never be opened: a FIFO, a socket, a device."""
    mode = _mode(path)
    if mode is None or stat.S_ISDIR(mode):
        return False
    check_regular_file(path, DataError)
    return True


def walk_files(folder: Path) -> Iterator[Path]:
    """The regular files in a folder and, however deep, in those below it; folders behind links are not looked into."""
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                found = list(entries)
        except PermissionError:  # as in a disk's lost+found
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif _is_regular(entry):
                yield Path(entry.path)


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except PermissionError as exc:
        raise DataError(f"{path} cannot be read (permission denied)") from exc
    except (OSError, ValueError):
        return None
