"""The IDX format of MNIST: big-endian magic, sizes, bytes; gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_UINT8 = 0x08


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes with `ndim` dimensions; DataError says what is wrong with it."""
    content = _bytes_of(path)
    header = 4 + 4 * ndim
    expected = bytes([0, 0, _UINT8, ndim])
    if content[:4] != expected:
        raise DataError(f"{path}: wrong magic, expected {expected.hex()}, got {content[:4].hex() or 'an empty file'}")
    if len(content) < header:
        raise DataError(f"{path}: truncated in its header ({len(content)} bytes)")
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4))
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"{path}: truncated or damaged, the header promises {math.prod(shape):,} bytes for {shape}, "
            f"the file holds {len(content) - header:,}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _bytes_of(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except PermissionError as exc:
        raise DataError(f"{path} cannot be read (permission denied)") from exc
    if not raw.startswith(_GZIP_MAGIC):
        if path.suffix == ".gz":
            raise DataError(f"{path}: not a gzip file")
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise DataError(f"{path}: truncated or damaged gzip ({exc})") from exc
