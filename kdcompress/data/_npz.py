"""Arrays in npy and npz files, mapped into memory where the file allows it: nothing is unpickled, ever."""

from __future__ import annotations

import ast
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import DataError

_LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: the lengths of its name and of its extra field


class ArrayFile:
    """The arrays of an npz file by name, or the npy files of a folder by their stems; read when asked for.

    An uncompressed array (as `np.savez` and `np.save` write it) is mapped, a compressed one is loaded whole.
    Errors: DataError with the path and the array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self.names = sorted(item.stem for item in path.glob("*.npy"))
            return
        if not zipfile.is_zipfile(path):
            hint = "; of npy files name the folder, which holds x.npy and y.npy" if path.suffix == ".npy" else ""
            raise DataError(f"{path} is truncated, damaged or no npz file{hint}")
        with zipfile.ZipFile(path) as archive:
            self.names = sorted(name.removesuffix(".npy") for name in archive.namelist())

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            raise DataError(f"{self.path} has no array {name!r}; it has {', '.join(self.names) or 'none'}")
        where = f"{self.path}: array {name!r}"
        try:
            found = self._load(name)
        except (ValueError, TypeError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as exc:
            if "allow_pickle" in str(exc) or "Object arrays" in str(exc):
                raise DataError(f"{where} holds Python objects, which could run code; save numbers or text") from exc
            raise DataError(f"{where} is truncated or damaged ({str(exc).splitlines()[0]})") from exc
        if not isinstance(found, np.ndarray):
            raise DataError(f"{where} is no NumPy array")
        return found

    def _load(self, name: str) -> Any:
        if self.path.is_dir():
            return np.load(self.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        with zipfile.ZipFile(self.path) as archive:
            member = archive.getinfo(f"{name}.npy")
        if member.compress_type != zipfile.ZIP_STORED:
            with np.load(self.path, allow_pickle=False) as npz:
                return npz[name]
        return _mapped(self.path, member)


def _mapped(path: Path, member: zipfile.ZipInfo) -> NDArray[Any]:
    """A stored member of a zip file: its bytes lie in the file as they are."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(name + extra, 1)
        begin = file.tell()
        shape, fortran, dtype = _header(file)
        offset = file.tell()
    expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if offset - begin + expected != member.file_size or offset + expected > path.stat().st_size:
        raise ValueError(f"its header promises {expected:,} bytes for {shape}")
    if expected == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:  # (3, 0) is as (2, 0), in UTF-8
        length = struct.unpack("<I", file.read(4))[0]
        facts = ast.literal_eval(file.read(length).decode())
        shape, fortran, dtype = facts["shape"], facts["fortran_order"], np.dtype(facts["descr"])
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    return shape, fortran, dtype
