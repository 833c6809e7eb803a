"""What is known of the image files below a folder: each is read and decoded whole once, then known by size and time.

The index lies in the cache. A file whose size or time of change differs is read again, so that a damaged image is told
before training and not in the middle of it, and loading a large set again costs no more than a look at its folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import lock_entry
from kdcompress.data.images import MAX_FILE_SIZE, ImageInfo, inspect_image
from kdcompress.data.parallel import map_parallel
from kdcompress.digests import json_digest
from kdcompress.errors import DataError
from kdcompress.files import write_npz
from kdcompress.npz import read_npz
from kdcompress.paths import check_regular_file
from kdcompress.progress import Progress

# What a row knows of a file: bytes, time of change, SHA-256, and what a Look at it tells
_LOOK = [("height", "<i4"), ("width", "<i4"), ("grey", "?"), ("kind", "S12"), ("clear", "?"), ("pixels", "S32")]
ROW = np.dtype([("bytes", "<i8"), ("changed_ns", "<i8"), ("sha256", "S64"), *_LOOK])
_CHUNK = 256  # files between two signs of life
_MAX_LISTED = 5  # bad files that an error names


def index_images(root: Path, names: NDArray[np.str_], progress: Progress) -> NDArray[np.void]:
    """A ROW for each of the image files `names` below `root`, in that order.

    Errors: DataError names the files that are truncated, damaged, without pixels, too large or no images.
    """
    with lock_entry("index", json_digest(str(root.resolve())), progress) as folder:
        known = _read(folder / "index.npz")
        rows, missing = _match(root, names, known)
        if len(missing):
            bad = _look(root, names, rows, missing, progress)
            good = np.setdiff1d(np.arange(len(names)), list(bad))
            _write(folder / "index.npz", {**known, **dict(zip(names[good].tolist(), rows[good], strict=True))})
            _refuse(list(bad.values()))
    return rows


def _match(
    root: Path, names: NDArray[np.str_], known: dict[str, NDArray[np.void]]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """The rows of files that are as they were, and the places of the others."""
    rows = np.zeros(len(names), ROW)
    missing = []
    for place, name in enumerate(names.tolist()):
        try:
            facts = (root / name).stat()
        except OSError as exc:
            raise DataError(f"image {root / name} cannot be read ({exc.strerror})") from exc
        _refuse_odd(root / name, facts)
        row = known.get(name)
        if row is not None and (row["bytes"], row["changed_ns"]) == (facts.st_size, facts.st_mtime_ns):
            rows[place] = row
        else:
            rows[place]["bytes"], rows[place]["changed_ns"] = facts.st_size, facts.st_mtime_ns
            missing.append(place)
    return rows, np.array(missing, np.int64)


def _refuse_odd(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        check_regular_file(path, DataError)
    if facts.st_size > MAX_FILE_SIZE:
        raise DataError(f"image {path} has {facts.st_size:,} bytes, above {MAX_FILE_SIZE:,}: no image for a model")


def _look(
    root: Path, names: NDArray[np.str_], rows: NDArray[np.void], places: NDArray[np.int64], progress: Progress
) -> dict[int, str]:
    """Fill in the rows at `places`; returns what is wrong with those that cannot be."""
    progress.begin("checking images", len(places))
    bad: dict[int, str] = {}
    try:
        for chunk in _chunks(places):
            for place, found in zip(chunk, map_parallel(lambda place: _facts(root / names[place]), chunk), strict=True):
                if isinstance(found, str):
                    bad[place] = found
                else:
                    for key, value in zip(("sha256", *ImageInfo._fields), found, strict=True):
                        rows[place][key] = value
            progress.step(int(np.searchsorted(places, chunk[-1])) + 1, {})
    finally:
        progress.end()
    return bad


def _chunks(places: NDArray[np.int64]) -> Iterator[list[int]]:
    for begin in range(0, len(places), _CHUNK):
        yield places[begin : begin + _CHUNK].tolist()


def _facts(path: Path) -> tuple[object, ...] | str:
    """SHA-256 and what a Look tells; or what is wrong with the file."""
    try:
        content = path.read_bytes()
        return (hashlib.sha256(content).hexdigest(), *inspect_image(path, content))
    except DataError as exc:
        return str(exc)
    except OSError as exc:
        return f"{path} cannot be read ({exc.strerror})"


def _refuse(reasons: list[str]) -> None:
    if not reasons:
        return
    more = f"; and {len(reasons) - _MAX_LISTED} more" if len(reasons) > _MAX_LISTED else ""
    count = f"{len(reasons)} images cannot be used: " if len(reasons) > 1 else ""
    them = "them" if len(reasons) > 1 else "it"
    raise DataError(f"{count}{'; '.join(reasons[:_MAX_LISTED])}{more}; mend {them} or delete {them}")


def _read(path: Path) -> dict[str, NDArray[np.void]]:
    """The index by name; a damaged one is as none."""
    try:
        kept = read_npz(path, DataError, structured=True)
    except (DataError, FileNotFoundError):
        return {}
    names, rows = kept.get("names"), kept.get("rows")
    if names is None or rows is None or rows.dtype != ROW or names.dtype.kind != "U" or names.shape != rows.shape:
        return {}
    return dict(zip(names.tolist(), rows, strict=True))


def _write(path: Path, known: dict[str, NDArray[np.void]]) -> None:
    names = np.array(list(known), np.str_)
    write_npz(path, {"names": names, "rows": np.array(list(known.values()), ROW)})


def format_size_range(rows: NDArray[np.void]) -> str:
    """The sizes of images, from the smallest to the largest, for a message."""
    return f"{rows['height'].min()}x{rows['width'].min()} to {rows['height'].max()}x{rows['width'].max()}"
