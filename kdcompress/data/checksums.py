"""The sums of arrays that are mapped into memory: read once and compared, then known by the file's size and times.

A mapped array is read piece by piece, whenever a piece is needed, and nothing would tell that some of it has changed.
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

# A file that was written just now may be written again without a new time: clocks of file systems tick slowly
_SETTLED_NS = 2_000_000_000
_LARGE = 1 << 30  # bytes that take long enough to be told of
_KNOWN: dict[Path, dict[str, object]] = {}


def check_crc_once(npz: Npz, name: str, path: Path, progress: Progress) -> None:
    """Compare an array of the npz file at `path` with its sum, unless that was done before; zipfile.BadZipFile."""
    place, facts = path.resolve(), path.stat()
    found = {"bytes": facts.st_size, "changed_ns": facts.st_mtime_ns, "status_ns": facts.st_ctime_ns}
    member = npz.members[name]
    sums = _known(place, found)
    if sums.get(name) == member.CRC:
        return
    if member.file_size > _LARGE:
        progress.note(f"{path}: array {name!r} is read once, to see that it is as it was written")
    npz.check_crc(name)
    if time.time_ns() - max(facts.st_mtime_ns, facts.st_ctime_ns) > _SETTLED_NS:
        _remember(place, {**found, "sums": {**sums, name: member.CRC}})


def _known(place: Path, found: dict[str, int]) -> dict[str, int]:
    """The sums that were right in a file of these facts; a damaged record is as none."""
    record = _KNOWN.get(place)
    if record is None:
        try:
            record = read_sealed(_record(place), [*found, "sums"])
        except (OSError, ValueError):
            return {}
        _KNOWN[place] = record
    sums = record.get("sums")
    if not isinstance(sums, dict) or any(record.get(key) != value for key, value in found.items()):
        return {}
    return sums


def _remember(place: Path, record: dict[str, object]) -> None:
    _KNOWN[place] = record
    with contextlib.suppress(OSError):  # without a place for it, it is read again
        write_sealed(_record(place), record)


def _record(place: Path) -> Path:
    return cache_dir("index") / json_digest(["sums", str(place)]) / "checked.json"
