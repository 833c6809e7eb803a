"""The IDX format of MNIST: big-endian magic, sizes, bytes; gzip or not."""

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
_MAX_EMPTY = 1 << 20  # along an axis of what holds nothing


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with `ndim` dimensions; DataError says what is wrong with it.

    No more of it is unpacked than its header promises, and that is looked at first.
    """
    check_regular_file(path, DataError)
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            if not is_packed and path.suffix == ".gz":
                raise DataError(f"{path}: not a gzip file")
            size = path.stat().st_size
            # gzip's own type says nothing of reading, which is all that is done
            return _read(cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_packed else file, path, ndim, size)
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
    told = f"{path}: truncated or damaged, the header promises {promised:,} bytes for {shape}"
    if isinstance(file, gzip.GzipFile):
        try:
            check_unpacked_size(promised, stored)
        except ValueError as exc:
            raise DataError(f"{told}: {exc}") from exc
    elif promised != (held := stored - header):
        raise DataError(f"{told}, the file holds {held:,}")
    found = np.empty(promised, np.uint8)
    filled = _fill(file, found)
    if filled < promised or file.read(1):
        raise DataError(f"{told}, the file holds {f'{filled:,}' if filled < promised else 'more'}")
    return found.reshape(shape)


def _fill(file: IO[bytes], found: NDArray[np.uint8]) -> int:
    """Read bytes into an array; how many there were, if fewer than it takes."""
    done = 0
    while done < len(found) and (block := file.read(min(_BLOCK, len(found) - done))):
        found[done : done + len(block)] = np.frombuffer(block, np.uint8)
        done += len(block)
    return done
