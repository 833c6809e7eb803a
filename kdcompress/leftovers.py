"""Temporary files and folders, named by the process that owns them, and the removal of what killed processes left."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".kdcompress-part-"
_TEMPORARY = "kdcompress-tmp-"
_OWNER = re.compile(r"(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-")


def is_partial(path: Path) -> bool:
    """Return whether `path` is a temporary file of `write_atomically`, as a killed process leaves it.

    Args:
        path: File or folder.
    """
    return path.name.startswith(PARTIAL) and not path.is_symlink()


def remove_path(path: Path) -> None:
    """Delete a file, a link or a folder if it exists.

    Args:
        path: Something that kdcompress made; a link is not followed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context manager that makes a folder in the system's temporary directory and deletes it afterwards.

    The folder of a killed process is deleted when the next one is made.

    Yields:
        The folder.
    """
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent, _TEMPORARY)
    folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{owner_tag()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path, prefix: str = PARTIAL) -> None:
    """Delete the temporary files that killed processes of this machine left in a folder.

    Args:
        folder: The folder; subfolders are not searched.
        prefix: Start of the names of such files, before the owner tag.
    """
    for item in folder.iterdir():
        owner = _OWNER.match(item.name, len(prefix)) if item.name.startswith(prefix) else None
        if owner and owner["machine"] == _machine() and not item.is_symlink() and not _is_alive(int(owner["process"])):
            with contextlib.suppress(OSError):  # another process removes it at the same time
                remove_path(item)


@functools.cache
def remove_leftovers_once(folder: Path) -> None:
    """Call `remove_leftovers` once per process and folder.

    Args:
        folder: The folder.
    """
    remove_leftovers(folder)


def owner_tag() -> str:
    """Return a unique tag of machine and process, by which leftovers are told from files that are being written."""
    return f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


@functools.cache
def _machine() -> str:
    """Return a hash of this machine or container: of the namespace in which process ids are valid."""
    namespace = Path("/proc/self/ns/pid")
    inode = namespace.stat().st_ino if namespace.exists() else 0
    return hashlib.sha256(f"{platform.node()} {inode}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 ends a process
        import psutil

        return bool(psutil.pid_exists(process))
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user, or no process id
        return True
    return True
