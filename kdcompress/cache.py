"""The user's cache: data, copies of remote files, objects in memory, indexes, targets, zoo teachers, exports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from kdcompress.errors import RunError
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import CACHE, Artefacts
from kdcompress.sizes import size_of

KINDS = ("data", "remote", "arrays", "index", "models", "teachers", "probes", "targets", "exports")


def cache_dir(kind: str = "") -> Path:
    """Return the cache folder: `KDCOMPRESS_CACHE_DIR`, else the user's cache folder of the platform.

    Args:
        kind: Subfolder, one of KINDS; "" for the cache folder itself.

    Returns:
        The folder, which may not exist yet.

    Raises:
        RunError: If the subfolder is a link: files would be written and deleted outside the cache.
    """
    root = os.environ.get("KDCOMPRESS_CACHE_DIR")
    folder = Path(root or platformdirs.user_cache_dir("kdcompress")).expanduser().resolve() / kind
    if kind and folder.is_symlink():
        raise RunError(
            f"{folder} is a link, which kdcompress does not follow; set KDCOMPRESS_CACHE_DIR to move the cache"
        )
    return folder


def list_entries() -> list[tuple[str, str, int]]:
    """Return (kind, name, bytes) of every entry of the cache, sorted by kind and name."""
    rows = []
    for kind in KINDS:
        folder = cache_dir() / kind
        for item in sorted(() if folder.is_symlink() else folder.glob("*")):
            if item.is_dir() and not item.is_symlink():
                rows.append((kind, item.name, size_of(item)))
    return rows


def clear_cache() -> int:
    """Delete the entries of the cache, except those that a run is writing.

    Only files with names that kdcompress gives are deleted; anything else stays, together with its folder.

    Returns:
        Number of bytes freed.
    """
    freed = 0
    for kind, name, size in list_entries():
        if (artefacts := _artefacts(kind, name)) is None:
            continue
        folder = cache_dir(kind) / name
        if folder.is_symlink():
            continue
        lock = FileLock(_lock_path(kind, name.removesuffix(".part")))
        try:
            with lock.acquire(timeout=0):
                if not artefacts.delete(folder):
                    folder.rmdir()
                freed += size - (size_of(folder) if folder.exists() else 0)
        except Timeout:
            continue
    return freed


def delete_entry(folder: Path, artefacts: Artefacts) -> None:
    """Delete a damaged entry of the cache.

    Args:
        folder: The entry, which may be missing.
        artefacts: Names of the files that it may contain.

    Raises:
        RunError: If the folder contains a file that kdcompress did not write.
    """
    if not folder.is_dir():
        return
    if remaining := artefacts.delete(folder):
        raise RunError(f"{folder / remaining[0]} is no part of the cache; move it away, then try again")
    folder.rmdir()


def _artefacts(kind: str, name: str) -> Artefacts | None:
    """Return the names of the files of an entry; None for a folder that is not named as kdcompress names entries."""
    stem = name.removesuffix(".part")
    keys = ("mnist", "mhist") if kind == "data" else (kind,)
    return next((CACHE[key][1]() for key in keys if CACHE[key][0].fullmatch(stem)), None)


@contextmanager
def lock_entry(kind: str, name: str, progress: Progress) -> Iterator[Path]:
    """Context manager that holds the lock of a cache entry.

    A second run that needs the same entry waits. The operating system releases the lock of a killed run.

    Args:
        kind: One of KINDS.
        name: Name of the entry.
        progress: Is notified when another run holds the lock.

    Yields:
        Folder of the entry, which may not exist yet.
    """
    path = _lock_path(kind, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.note(f"waiting for another run that is making the same {kind} entry ({name[:12]})")
        lock.acquire()
    try:
        yield cache_dir(kind) / name
    finally:
        lock.release()


def _lock_path(kind: str, name: str) -> Path:
    return cache_dir(kind) / f"{name}.lock"
