"""Where kept work lies: data and what is known of image folders, target caches, zoo teachers we trained, models given
in memory, exported teachers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from kdcompress.errors import RunError
from kdcompress.files import size_of
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import CACHE, Artefacts

KINDS = ("data", "index", "models", "teachers", "targets", "exports")


def cache_dir(kind: str = "") -> Path:
    """The cache folder (`KDCOMPRESS_CACHE_DIR`, else the user's cache folder), or one kind's place in it.

    Errors: RunError where a link has that place, which would lead what is written and deleted out of the cache.
    """
    root = os.environ.get("KDCOMPRESS_CACHE_DIR")
    folder = Path(root or platformdirs.user_cache_dir("kdcompress")).expanduser().resolve() / kind
    if kind and folder.is_symlink():
        raise RunError(
            f"{folder} is a link, which kdcompress does not follow; set KDCOMPRESS_CACHE_DIR to move the cache"
        )
    return folder


def list_entries() -> list[tuple[str, str, int]]:
    """What lies in the cache: (kind, name, bytes) of every entry, sorted."""
    found = []
    for kind in KINDS:
        folder = cache_dir() / kind
        for item in sorted(() if folder.is_symlink() else folder.glob("*")):
            if item.is_dir() and not item.is_symlink():
                found.append((kind, item.name, size_of(item)))
    return found


def clear_cache() -> int:
    """Delete what kdcompress put into the cache, by the names that it gives, but what a run is making at this moment.

    Returns the bytes freed. Anything else stays, and so does the folder that it is in.
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
    """Delete a damaged entry; RunError if something lies in its folder that is not ours, and must not be lost."""
    if not folder.is_dir():
        return
    if kept := artefacts.delete(folder):
        raise RunError(f"{folder / kept[0]} is no part of the cache; move it away, then try again")
    folder.rmdir()


def _artefacts(kind: str, name: str) -> Artefacts | None:
    """What is ours in an entry of the cache; None of a folder that we would not have named so."""
    plain = name.removesuffix(".part")
    kinds = ("mnist", "mhist") if kind == "data" else (kind,)
    return next((CACHE[one][1] for one in kinds if CACHE[one][0].fullmatch(plain)), None)


@contextmanager
def lock_entry(kind: str, name: str, progress: Progress) -> Iterator[Path]:
    """Hold the one lock of a cache entry and give its folder, which need not exist yet.

    A second run that wants the same entry waits, and says so; the system frees the lock of a killed run.
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
