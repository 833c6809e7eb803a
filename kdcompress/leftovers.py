"""What a killed process leaves half-written: told by its name from what is being written, and cleared away."""

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
    """Whether `path` is what a killed `write_atomically` left."""
    return path.name.startswith(PARTIAL) and not path.is_symlink()


def remove_path(path: Path) -> None:
    """Delete a file, a link or a folder of our own making, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in the system's place for such; gone afterwards, or after a kill when the next one is made."""
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent, _TEMPORARY)
    folder = Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{owner_tag()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path, prefix: str = PARTIAL) -> None:
    """Delete what processes of this machine left unfinished in a folder before they were killed."""
    for item in folder.iterdir():
        owner = _OWNER.match(item.name, len(prefix)) if item.name.startswith(prefix) else None
        if owner and owner["machine"] == _machine() and not item.is_symlink() and not _lives(int(owner["process"])):
            with contextlib.suppress(OSError):  # another process is sweeping, too
                remove_path(item)


@functools.cache
def remove_leftovers_once(folder: Path) -> None:
    """As `remove_leftovers`, once per process and folder."""
    remove_leftovers(folder)


def owner_tag() -> str:
    """Names this process and moment: what is half-written can be told from what is being written."""
    return f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


@functools.cache
def _machine() -> str:
    """This machine or container, in which process numbers mean what they mean here."""
    namespace = Path("/proc/self/ns/pid")
    inside = namespace.stat().st_ino if namespace.exists() else 0
    return hashlib.sha256(f"{platform.node()} {inside}".encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(process))
