"""npz and npy files from anywhere: what they say of themselves is held to what they store before anything is allocated,
sums are checked, nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError
from kdcompress.paths import check_regular_file

MAX_TIMES, SLACK = 100, 64 << 20  # how far stored bytes may unpack; below the slack, any ratio will do
_MAX_MEMBERS = 100_000
_MAX_AT_ONCE = 16 << 20  # bytes of a zip file's table of contents
_MAX_HEADER = 10_000  # characters, as NumPy has it
_MAX_EMPTY = 1 << 20  # along an axis of an array without elements, of which nothing is stored
_BLOCK = 1 << 20
_MAGIC = b"\x93NUMPY"
_LOCAL_HEADER = 30  # bytes before a member's name
_ENCRYPTED = 1
SUPPORTED_COMPRESSION = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # of others, zipfile unpacks more than it is asked for
# What NumPy, zipfile and Python raise at a damaged file
READ_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class HoldsObjectsError(ValueError):
    """An array of pickled Python objects."""


class Header(NamedTuple):
    """What a npy file says of its array, and after how many bytes the array begins."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    end: int


def read_npz(
    path: Path, error: type[KDCompressError], remedy: str = "", structured: bool = False
) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file by name, in memory; of records, too, if `structured`.

    Errors: FileNotFoundError if there is no such file; `error`, with the `remedy`, in one line for everything that can
    be wrong with it.
    """
    check_regular_file(path, error)
    try:
        with open_npz(path) as npz:
            if npz.other_members:
                raise ValueError(f"{npz.other_members[0][:80]!r} is no array")
            return {name: npz.load(name, structured) for name in npz.members}
    except FileNotFoundError:
        raise
    except READ_ERRORS as exc:
        told = f"; {remedy}" if remedy else ""
        raise error(f"{path} is truncated, damaged or no npz file ({error_text(exc)}){told}") from exc


def error_text(exc: BaseException) -> str:
    """What an exception says, in one short line."""
    return " ".join(str(exc).split())[:200] or type(exc).__name__


def check_unpacked_size(claimed: int, stored: int) -> None:
    """ValueError for what would unpack to far more bytes than are stored of it."""
    if claimed > max(SLACK, MAX_TIMES * stored):
        told = f"it would unpack to {claimed:,} bytes, more than {MAX_TIMES} times the {stored:,} that are stored"
        raise ValueError(f"{told}: a bomb; store it uncompressed if it is none")


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """An npz file whose table of contents is sound; within it and of it, whatever is wrong is one of DAMAGED."""
    with path.open("rb") as file, open_zip(path) as archive:
        yield Npz(file, archive, path.stat().st_size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file whose members are neither too many, nor of one name, in one place or behind a password; as above."""
    with _Sparing(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        _refuse_members(archive.infolist(), archive.start_dir)
        yield archive


class _Sparing(io.BufferedReader):
    """Reads no more at once than a sound zip file needs: zipfile reads as much as a damaged one says."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_AT_ONCE:
            raise ValueError(f"its table of contents claims {size:,} bytes")
        return super().read(size)


class Npz:
    """The members of an opened npz file by the names of their arrays; `others` are no arrays by their names."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, size: int) -> None:
        self.file, self._archive = file, archive
        infos = archive.infolist()
        check_unpacked_size(sum(info.file_size for info in infos), size)
        self.members = {info.filename[:-4]: info for info in infos if info.filename.endswith(".npy")}
        self.other_members = [info.filename for info in infos if not info.filename.endswith(".npy")]

    def load(self, name: str, structured: bool = False) -> NDArray[Any]:
        """An array, whole; its sum is checked."""
        member = self._sound(name)
        with self._archive.open(member) as source:
            return read_array(source, member.file_size, structured)

    def check_crc(self, name: str) -> None:
        """Read a member once; zipfile.BadZipFile unless its sum is right."""
        with self._archive.open(self._sound(name)) as source:
            while source.read(_BLOCK):
                pass

    def memory_map(self, name: str) -> NDArray[Any]:
        """An array of a stored member, whose bytes lie in the file as they are; its sum is not looked at."""
        member = self._sound(name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed")
        self.file.seek(member.header_offset + _LOCAL_HEADER - 4)
        lengths = struct.unpack("<HH", read_exactly(self.file, 4))  # of the name and of the extra field behind it
        self.file.seek(sum(lengths), io.SEEK_CUR)
        return map_array(self.file, member.file_size)

    def _sound(self, name: str) -> zipfile.ZipInfo:
        """A member that can be read without fear of its size."""
        member = self.members[name]
        if member.compress_type not in SUPPORTED_COMPRESSION:
            raise ValueError("it is packed neither stored nor deflated")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise ValueError("it is stored in another size than its own")
        check_unpacked_size(member.file_size, member.compress_size)
        return member


def _refuse_members(infos: list[zipfile.ZipInfo], end: int) -> None:
    """ValueError for members of one name, in one place, or behind a password, and for too many; they end at `end`."""
    if len(infos) > _MAX_MEMBERS:
        raise ValueError(f"it has {len(infos):,} members, above {_MAX_MEMBERS:,}")
    if twice := [name for name, count in Counter(info.filename for info in infos).items() if count > 1]:
        raise ValueError(f"{twice[0][:80]!r} is in it twice")
    if locked := [info.filename for info in infos if info.flag_bits & _ENCRYPTED]:
        raise ValueError(f"{locked[0][:80]!r} is encrypted")
    ordered = sorted(infos, key=lambda info: info.header_offset)
    bounds = [*(info.header_offset for info in ordered[1:]), end]
    for info, bound in zip(ordered, bounds, strict=False):  # of an empty file, the end alone
        if info.header_offset < 0 or info.header_offset + _LOCAL_HEADER + info.compress_size > bound:
            raise ValueError(f"{info.filename[:80]!r} overlaps what stands behind it")


def map_array(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array that begins with its header where `file` stands and has `size` bytes, mapped into memory."""
    begin = file.tell()
    header = read_header(file, size)
    if not math.prod(header.shape):
        return np.empty(header.shape, header.dtype)
    order = "F" if header.fortran else "C"
    found = np.memmap(file, header.dtype, "r", begin + header.end, header.shape, order)  # type: ignore[call-overload]
    _refuse_values(found)
    return found  # type: ignore[no-any-return]


def read_array(file: IO[bytes], size: int, structured: bool = False) -> NDArray[Any]:
    """The array that `file` holds from where it stands, in `size` bytes."""
    header = read_header(file, size, structured)
    flat = np.empty(math.prod(header.shape), header.dtype)
    if flat.size:
        _fill(file, flat.view(np.uint8).data)
    found = flat.reshape(header.shape[::-1]).T if header.fortran else flat.reshape(header.shape)
    _refuse_values(found)
    return found


def read_header(file: IO[bytes], size: int, structured: bool = False) -> Header:
    """The header of a npy file of `size` bytes; ValueError unless they are what it promises."""
    begin = read_exactly(file, 8)
    if begin[:6] != _MAGIC or begin[6] not in (1, 2, 3):
        raise ValueError("it is no array of NumPy")
    length = read_exactly(file, 2 if begin[6] == 1 else 4)
    count = int.from_bytes(length, "little")
    if count > _MAX_HEADER:
        raise ValueError(f"its header claims {count:,} characters")
    shape, fortran, dtype = _parsed(read_exactly(file, count))
    header = Header(shape, fortran, dtype, 8 + len(length) + count)
    _refuse_kind(dtype, structured)
    elements = math.prod(shape)
    if min(shape, default=0) < 0 or (not elements and max(shape) > _MAX_EMPTY) or (elements and not dtype.itemsize):
        raise ValueError(f"its header claims {dtype} {shape}")
    if (promised := elements * dtype.itemsize) != (held := size - header.end):
        raise ValueError(f"its header promises {promised:,} bytes for {dtype} {shape}, it holds {held:,}")
    return header


def _parsed(text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # Version 3 is as version 2 but for names of fields that are not ASCII
    try:
        return np.lib.format.read_array_header_2_0(io.BytesIO(struct.pack("<I", len(text)) + text))
    except READ_ERRORS as exc:
        raise ValueError(f"its header is damaged: {error_text(exc)}") from exc


def _refuse_kind(dtype: np.dtype[Any], structured: bool) -> None:
    if dtype.hasobject:
        raise HoldsObjectsError("it holds Python objects, which could run code; save numbers or text")
    if dtype.subdtype is not None or (dtype.kind == "V" and not (structured and dtype.fields)):
        raise ValueError(f"it holds {str(dtype)[:80]}, neither numbers nor text")


def _refuse_values(array: NDArray[Any]) -> None:
    """ValueError for bytes that no value of their type has: NumPy does not look, and fails or errs later."""
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        points = np.ascontiguousarray(array).reshape(-1).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if points.max() > 0x10FFFF:
            raise ValueError("it holds text of characters that there are not")
    if array.dtype.kind == "b" and array.size and np.ascontiguousarray(array).reshape(-1).view(np.uint8).max() > 1:
        raise ValueError("it holds truth values that are neither true nor false")


def _fill(file: IO[bytes], view: memoryview) -> None:
    for begin in range(0, len(view), _BLOCK):
        view[begin : begin + _BLOCK] = read_exactly(file, min(_BLOCK, len(view) - begin))


def read_exactly(file: IO[bytes], count: int) -> bytes:
    """The next `count` bytes; EOFError if there are fewer."""
    found = file.read(count)
    if len(found) < count:
        raise EOFError("it ends too soon")
    return found
