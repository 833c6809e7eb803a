"""Where kept work lies: data and what is known of image folders, target caches, zoo teachers we trained, models given
in memory, exported teachers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from kdcompress.files import size_of
from kdcompress.progress import Progress

_FETCHED = ("mnist", "mhist-images-")  # downloaded or unpacked by us; what else lies in data/, somebody put there
KINDS = ("data", "index", "models", "teachers", "targets", "exports")


def cache_dir(kind: str = "") -> Path:
    """The cache folder (`KDCOMPRESS_CACHE_DIR`, else the user's cache folder), or one kind's place in it."""
    root = os.environ.get("KDCOMPRESS_CACHE_DIR")
    return Path(root or platformdirs.user_cache_dir("kdcompress")).expanduser().resolve() / kind


def entries() -> list[tuple[str, str, int]]:
    """What lies in the cache: (kind, name, bytes) of every entry, sorted."""
    found = []
    for kind in KINDS:
        for item in sorted(cache_dir(kind).glob("*")):
            if item.is_dir():
                found.append((kind, item.name, size_of(item)))
    return found


def clear() -> int:
    """Delete every entry but those that a run is making at this moment, and data that we did not put there.

    Returns the bytes freed.
    """
    freed = 0
    for kind, name, size in entries():
        if kind == "data" and not name.startswith(_FETCHED):
            continue
        lock = FileLock(_lock_path(kind, name.removesuffix(".part")))
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(cache_dir(kind) / name)
                freed += size
        except Timeout:
            continue
    return freed


@contextmanager
def entry_lock(kind: str, name: str, progress: Progress) -> Iterator[Path]:
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
