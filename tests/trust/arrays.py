"""npz and npy files that say other things of themselves than they hold."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np


def header(shape: tuple[int, ...], descr: str = "<i8") -> bytes:
    """The header of a npy file."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def declare(path: Path, member: str, shape: tuple[int, ...], descr: str = "<i8") -> None:
    """Let a member of an npz file declare a shape, with a few bytes behind it."""
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    contents[member] = header(shape, descr) + bytes(64)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            new.writestr(name, content)


def zeros(path: Path, member: str, shape: tuple[int, ...], descr: str = "|u1") -> None:
    """A deflated npz file of one array of zeros, written without holding it."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(descr).itemsize
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open(member, "w", force_zip64=True) as out,
    ):
        out.write(header(shape, descr))
        for _ in range(size >> 25):
            out.write(bytes(1 << 25))
        out.write(bytes(size & ((1 << 25) - 1)))
