"""Reading of MNIST's IDX format: big-endian magic number and sizes, then bytes; optionally gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import DataError
from kdcompress.npz import check_unpacked_size
from kdcompress.paths import check_regular_file

_GZIP_MAGIC = b"\x1f\x8b"
_UINT8 = 0x08
_BLOCK = 1 << 20
_MAX_EMPTY = 1 << 20  # length of an axis of an array without elements


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes; no more is unpacked than its header declares.

    Args:
        path: The file.
        ndim: Number of dimensions.

    Returns:
        The array.

    Raises:
        DataError: If it is unreadable, truncated or damaged.
    """
    check_regular_file(path, DataError)
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not is_gzip and path.suffix == ".gz":
                raise DataError(f"{path}: not a gzip file")
            size = path.stat().st_size
            # The type stubs of gzip do not declare that a GzipFile can be read as IO[bytes]
            return _read(cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_gzip else file, path, ndim, size)
    except PermissionError as exc:
        raise DataError(f"{path} cannot be read (permission denied)") from exc
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise DataError(f"{path}: truncated or damaged gzip ({exc})") from exc
    except OSError as exc:
        raise DataError(f"{path} cannot be read ({exc.strerror})") from exc


def _read(file: IO[bytes], path: Path, ndim: int, stored: int) -> NDArray[np.uint8]:
    header = 4 + 4 * ndim
    expected = bytes([0, 0, _UINT8, ndim])
    head = file.read(header)
    if head[:4] != expected:
        raise DataError(f"{path}: wrong magic, expected {expected.hex()}, got {head[:4].hex() or 'an empty file'}")
    if len(head) < header:
        raise DataError(f"{path}: truncated in its header ({len(head)} bytes)")
    shape = tuple(int.from_bytes(head[i : i + 4], "big") for i in range(4, header, 4))
    promised = math.prod(shape)
    if not promised and max(shape) > _MAX_EMPTY:
        raise DataError(f"{path}: damaged, the header promises {shape} and so nothing at all")
    problem = f"{path}: truncated or damaged, the header promises {promised:,} bytes for {shape}"
    if isinstance(file, gzip.GzipFile):
        try:
            check_unpacked_size(promised, stored)
        except ValueError as exc:
            raise DataError(f"{problem}: {exc}") from exc
    elif promised != (available := stored - header):
        raise DataError(f"{problem}, the file holds {available:,}")
    array = np.empty(promised, np.uint8)
    filled = _fill(file, array)
    if filled < promised or file.read(1):
        raise DataError(f"{problem}, the file holds {f'{filled:,}' if filled < promised else 'more'}")
    return array.reshape(shape)


def _fill(file: IO[bytes], array: NDArray[np.uint8]) -> int:
    """Read bytes into an array; return their number, which is smaller if the file ends too soon."""
    done = 0
    while done < len(array) and (block := file.read(min(_BLOCK, len(array) - done))):
        array[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    return done
