"""CRC checks of memory-mapped arrays: done once, then skipped as long as the file's size and times stay the same.

A memory map is read in parts on access, so that damage would otherwise go unnoticed.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from kdcompress.cache import cache_dir
from kdcompress.digests import json_digest
from kdcompress.npz import Npz
from kdcompress.progress import Progress
from kdcompress.sealed import read_sealed, write_sealed

# A file may be written again within the resolution of the file system's clock without a change of its times
_SETTLED_NS = 2_000_000_000
_LARGE = 1 << 30  # bytes from which reading is announced
_KNOWN: dict[Path, dict[str, object]] = {}


def check_crc_once(npz: Npz, name: str, path: Path, progress: Progress) -> None:
    """Check the CRC of an array, unless that was done before.

    Args:
        npz: The open file.
        name: Name of the array.
        path: Path of the file.
        progress: Is notified before a large array is read.

    Raises:
        zipfile.BadZipFile: If the CRC is wrong.
    """
    file, status = path.resolve(), path.stat()
    state = {"bytes": status.st_size, "changed_ns": status.st_mtime_ns, "status_ns": status.st_ctime_ns}
    member = npz.members[name]
    checked = _load(file, state)
    if checked.get(name) == member.CRC:
        return
    if member.file_size > _LARGE:
        progress.note(f"{path}: array {name!r} is read once, to see that it is as it was written")
    npz.check_crc(name)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        _store(file, {**state, "sums": {**checked, name: member.CRC}})


def _load(file: Path, state: dict[str, int]) -> dict[str, int]:
    """Return the CRCs that were correct for a file in this state; a damaged record counts as empty."""
    record = _KNOWN.get(file)
    if record is None:
        try:
            record = read_sealed(_record_path(file), [*state, "sums"])
        except (OSError, ValueError):
            return {}
        _KNOWN[file] = record
    sums = record.get("sums")
    if not isinstance(sums, dict) or any(record.get(key) != value for key, value in state.items()):
        return {}
    return sums


def _store(file: Path, record: dict[str, object]) -> None:
    _KNOWN[file] = record
    with contextlib.suppress(OSError):  # without a record, the file is read again
        write_sealed(_record_path(file), record)


def _record_path(file: Path) -> Path:
    return cache_dir("index") / json_digest(["sums", str(file)]) / "checked.json"
