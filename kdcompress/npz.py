"""npz files from anywhere, read whole: checked by their own sums, bounded by what they store, nothing unpickled."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError
from kdcompress.paths import require_regular

_MOST_TIMES, _SLACK = 100, 64 << 20


def read_npz(path: Path, error: type[KDCompressError], remedy: str = "") -> dict[str, NDArray[Any]]:
    """All arrays of an npz file by name; FileNotFoundError if there is none; `error` for one that is damaged."""
    require_regular(path, error)
    path.stat()
    told = f"; {remedy}" if remedy else ""
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _array(archive, info) for info in archive.infolist()}
    except (ValueError, TypeError, OSError, EOFError, KeyError, SyntaxError, RuntimeError, NotImplementedError,
            zipfile.BadZipFile, zlib.error) as exc:  # fmt: skip
        raise error(f"{path} is truncated, damaged or no npz file ({str(exc).splitlines()[0]}){told}") from exc


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.file_size > max(_SLACK, _MOST_TIMES * info.compress_size):
        raise ValueError(f"{info.filename} claims {info.file_size:,} bytes, and {info.compress_size:,} are stored")
    content = archive.read(info)
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{info.filename} claims to be {dtype} {shape}")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
