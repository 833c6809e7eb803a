"""Cached index of the image files below a folder: digests, sizes and kinds.

Every file is decoded completely once, so that a damaged image is reported before training and not during it. A file is
read again only if its size or modification time changes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import lock_entry
from kdcompress.data.images import ImageInfo, inspect_image
from kdcompress.data.opening import MAX_FILE_SIZE
from kdcompress.data.parallel import map_parallel
from kdcompress.digests import json_digest
from kdcompress.errors import DataError
from kdcompress.files import write_npz
from kdcompress.npz import read_npz
from kdcompress.paths import check_regular_file
from kdcompress.progress import Progress

# Fields of ImageInfo
_SIZES, _VALUES = [("height", "<i4"), ("width", "<i4")], [("lowest", "<i4"), ("highest", "<i4"), ("white", "<i4")]
_INFO = [*_SIZES, ("grey", "?"), ("kind", "S12"), ("clear", "?"), ("pixels", "S32"), ("look", "S64"), *_VALUES]
ROW = np.dtype([("bytes", "<i8"), ("changed_ns", "<i8"), ("sha256", "S64"), *_INFO])
_CHUNK = 256  # files between updates of the progress
_MAX_LISTED = 5  # damaged files that an error names


def index_images(root: Path, names: NDArray[np.str_], progress: Progress) -> NDArray[np.void]:
    """Look image files up in the index and decode those that are new or changed.

    Args:
        root: Folder of the files.
        names: Paths relative to `root`, (n,).
        progress: Receives progress.

    Returns:
        A ROW for each file, (n,).

    Raises:
        DataError: If files are damaged, have no or too many pixels, or are no images; names them.
    """
    with lock_entry("index", json_digest(str(root.resolve())), progress) as folder:
        known = _read(folder / "index.npz")
        rows, missing = _match(root, names, known)
        if len(missing):
            damaged = _inspect(root, names, rows, missing, progress)
            intact = np.setdiff1d(np.arange(len(names)), list(damaged))
            _write(folder / "index.npz", {**known, **dict(zip(names[intact].tolist(), rows[intact], strict=True))})
            _report(root, {str(names[index]): problem for index, problem in damaged.items()})
    return rows


def _match(
    root: Path, names: NDArray[np.str_], known: dict[str, NDArray[np.void]]
) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    """Return the rows, filled in for unchanged files, and the indices of the others."""
    rows = np.zeros(len(names), ROW)
    missing = []
    for index, name in enumerate(names.tolist()):
        try:
            status = (root / name).stat()
        except OSError as exc:
            raise DataError(f"image {root / name} cannot be read ({exc.strerror})") from exc
        _check_file(root / name, status)
        row = known.get(name)
        if row is not None and (row["bytes"], row["changed_ns"]) == (status.st_size, status.st_mtime_ns):
            rows[index] = row
        else:
            rows[index]["bytes"], rows[index]["changed_ns"] = status.st_size, status.st_mtime_ns
            missing.append(index)
    return rows, np.array(missing, np.int64)


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        check_regular_file(path, DataError)
    if status.st_size > MAX_FILE_SIZE:
        raise DataError(f"image {path} has {status.st_size:,} bytes, above {MAX_FILE_SIZE:,}: no image for a model")


def _inspect(
    root: Path, names: NDArray[np.str_], rows: NDArray[np.void], indices: NDArray[np.int64], progress: Progress
) -> dict[int, str]:
    """Fill in the rows at `indices`; return the problems of files that cannot be used, by index."""
    progress.begin("checking images", len(indices))
    damaged: dict[int, str] = {}
    try:
        for chunk in _chunks(indices):
            results = map_parallel(lambda index: _read_facts(root / names[index]), chunk)
            for index, facts in zip(chunk, results, strict=True):
                if isinstance(facts, str):
                    damaged[index] = facts
                else:
                    for key, value in zip(("sha256", *ImageInfo._fields), facts, strict=True):
                        rows[index][key] = value
            progress.step(int(np.searchsorted(indices, chunk[-1])) + 1, {})
    finally:
        progress.end()
    return damaged


def _chunks(indices: NDArray[np.int64]) -> Iterator[list[int]]:
    for begin in range(0, len(indices), _CHUNK):
        yield indices[begin : begin + _CHUNK].tolist()


def _read_facts(path: Path) -> tuple[object, ...] | str:
    """Return SHA-256 and the fields of ImageInfo, or the problem of a file that cannot be used."""
    try:
        content = path.read_bytes()
        return (hashlib.sha256(content).hexdigest(), *inspect_image(path, content))
    except DataError as exc:
        return str(exc)
    except OSError as exc:
        return f"{path} cannot be read ({exc.strerror})"


def _report(root: Path, damaged: Mapping[str, str]) -> None:
    """Raise DataError for files that cannot be used; a problem that several have is told once, with their names."""
    if not damaged:
        return
    alike: dict[str, list[str]] = {}
    for name, problem in damaged.items():
        alike.setdefault(problem.replace(str(root / name), "", 1), []).append(name)
    reasons = [f"{damaged[names[0]]}{_format_likewise(names[1:])}" for names in alike.values()]
    more = f"; and {len(reasons) - _MAX_LISTED} more" if len(reasons) > _MAX_LISTED else ""
    count = f"{len(damaged):,} images cannot be used: " if len(damaged) > 1 else ""
    them = "them" if len(damaged) > 1 else "it"
    raise DataError(f"{count}{'; '.join(reasons[:_MAX_LISTED])}{more}; mend {them} or delete {them}")


def _format_likewise(names: list[str]) -> str:
    """Format the names of further files with a problem."""
    listed = ", ".join(names[: _MAX_LISTED - 1])
    more = f" and {len(names) - _MAX_LISTED + 1:,} more" if len(names) > _MAX_LISTED - 1 else ""
    return f" (likewise {listed}{more})" if names else ""


def _read(path: Path) -> dict[str, NDArray[np.void]]:
    """Read the rows of the index by file name; a damaged index counts as empty."""
    try:
        arrays = read_npz(path, DataError, structured=True)
    except (DataError, FileNotFoundError):
        return {}
    names, rows = arrays.get("names"), arrays.get("rows")
    if names is None or rows is None or rows.dtype != ROW or names.dtype.kind != "U" or names.shape != rows.shape:
        return {}
    return dict(zip(names.tolist(), rows, strict=True))


def _write(path: Path, known: dict[str, NDArray[np.void]]) -> None:
    names = np.array(list(known), np.str_)
    write_npz(path, {"names": names, "rows": np.array(list(known.values()), ROW)})


def format_size_range(rows: NDArray[np.void]) -> str:
    """Format the range of image sizes for a message.

    Args:
        rows: Rows of the index.

    Returns:
        Text such as "96x96 to 224x224".
    """
    return f"{rows['height'].min()}x{rows['width'].min()} to {rows['height'].max()}x{rows['width'].max()}"
