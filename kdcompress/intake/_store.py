"""Entries of the cache with the arrays of a data set."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import cache_dir, lock_entry
from kdcompress.errors import DataError
from kdcompress.leftovers import remove_path
from kdcompress.npy import map_array
from kdcompress.progress import Progress

KIND = "arrays"  # of cache entries
_BLOCK = 1 << 24  # bytes


def store_arrays(arrays: Mapping[str, NDArray[Any]], progress: Progress) -> Path:
    """Write arrays to the cache as npy files, unless they are there.

    Args:
        arrays: Arrays by name, without objects.
        progress: Listener.

    Returns:
        Their folder, which is named by their digest.
    """

    def write(folder: Path) -> None:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)

    return store(_digest(arrays), write, progress)


def store(digest: str, write: Callable[[Path], None], progress: Progress) -> Path:
    """Write an entry of the cache, whole or not at all, unless it is there.

    Args:
        digest: Its name, 64 hex digits.
        write: Writes its files into a new folder.
        progress: Listener.

    Returns:
        The folder.
    """
    with lock_entry(KIND, digest, progress) as folder:
        if not folder.is_dir():
            part = folder.with_name(f"{folder.name}.part")
            remove_path(part)
            part.mkdir(parents=True)
            write(part)
            part.rename(folder)
    return folder


class ArrayWriter:
    """Appends rows of one shape and type to an npy file, whose number is known at the end.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._file: BinaryIO | None = None
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype("u1")

    def append(self, rows: NDArray[Any]) -> None:
        """Append rows.

        Args:
            rows: (n, ...).

        Raises:
            DataError: They differ in shape or type from the rows before.
        """
        rows = np.ascontiguousarray(rows)
        if self._file is None:
            self._file, self._shape, self._dtype = self.path.open("wb"), rows.shape[1:], rows.dtype
            self._write_header()
        if (rows.shape[1:], rows.dtype) != (self._shape, self._dtype):
            raise DataError(
                f"images must be of one size and type: image {self.rows:,} is {_format(rows.shape[1:], rows.dtype)}, "
                f"those before are {_format(self._shape, self._dtype)}"
            )
        self._file.write(rows.tobytes())
        self.rows += len(rows)

    def close(self) -> None:
        """Write the number of rows into the header, which NumPy leaves room for, and close the file."""
        if self._file is not None:
            self._file.seek(0)
            self._write_header()
            self._file.close()

    def _write_header(self) -> None:
        assert self._file is not None
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.rows, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def scratch() -> Path:
    """Make a folder in the cache for arrays whose digest is not known yet; `adopt` moves or deletes it."""
    folder = cache_dir(KIND) / f"{secrets.token_hex(32)}.part"
    folder.mkdir(parents=True)
    return folder


def adopt(part: Path, progress: Progress) -> Path:
    """Make the folder of `scratch` an entry of the cache, named by the digest of its arrays.

    Args:
        part: The folder.
        progress: Listener.

    Returns:
        The folder of the entry.
    """
    digest = _digest({path.stem: read_array(path) for path in part.glob("*.npy")})
    with lock_entry(KIND, digest, progress) as folder:
        if folder.is_dir():
            remove_path(part)
        else:
            part.rename(folder)
    return folder


def read_array(path: Path) -> NDArray[Any]:
    """Map an npy file into memory.

    Args:
        path: The file.

    Returns:
        The array, read-only.
    """
    with path.open("rb") as file:
        return map_array(file, path.stat().st_size)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        step = max(_BLOCK // max(array[:1].nbytes, 1), 1)
        for begin in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[begin : begin + step]).tobytes())
    return digest.hexdigest()


def _format(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    return f"{dtype} {'x'.join(map(str, shape))}"
