"""Reading of npy data as untrusted input: headers are checked before memory is allocated, nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import error_text

_MAX_HEADER = 10_000  # characters, as in NumPy
_MAX_EMPTY = 1 << 20  # length of an axis of an array without elements
_BLOCK = 1 << 20
_MAGIC = b"\x93NUMPY"
# What NumPy, zipfile and Python raise on damaged files
READ_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class HoldsObjectsError(ValueError):
    """The array contains pickled Python objects."""


class Header(NamedTuple):
    """Header of a npy file.

    Attributes:
        shape: Shape of the array.
        fortran: Whether it is stored in Fortran order.
        dtype: Its type.
        end: Length of the header in bytes; the array starts there.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    end: int


def map_array(file: IO[bytes], size: int) -> NDArray[Any]:
    """Map an array into memory.

    Args:
        file: File at the position where the npy data start.
        size: Length of the npy data in bytes.

    Returns:
        The array, a read-only memory map unless it is empty.

    Raises:
        ValueError: If header and data do not agree or the type is not allowed.
        EOFError: If the file ends too soon.
    """
    begin = file.tell()
    header = read_header(file, size)
    if not math.prod(header.shape):
        return np.empty(header.shape, header.dtype)
    order = "F" if header.fortran else "C"
    array = np.memmap(file, header.dtype, "r", begin + header.end, header.shape, order)  # type: ignore[call-overload]
    _check_values(array)
    return array  # type: ignore[no-any-return]


def read_array(file: IO[bytes], size: int, structured: bool = False) -> NDArray[Any]:
    """Read an array into memory.

    Args:
        file: File at the position where the npy data start.
        size: Length of the npy data in bytes.
        structured: Whether structured types are allowed.

    Returns:
        The array.

    Raises:
        ValueError: If header and data do not agree or the type is not allowed.
        EOFError: If the file ends too soon.
    """
    header = read_header(file, size, structured)
    flat = np.empty(math.prod(header.shape), header.dtype)
    if flat.size:
        _fill(file, flat.view(np.uint8).data)
    array = flat.reshape(header.shape[::-1]).T if header.fortran else flat.reshape(header.shape)
    _check_values(array)
    return array


def read_header(file: IO[bytes], size: int, structured: bool = False) -> Header:
    """Read the header of npy data.

    Args:
        file: File at the position where the npy data start.
        size: Length of the npy data in bytes, header included.
        structured: Whether structured types are allowed.

    Returns:
        The header.

    Raises:
        ValueError: If it is damaged, does not match `size`, or has a type that is not allowed.
        EOFError: If the file ends too soon.
    """
    begin = read_exactly(file, 8)
    if begin[:6] != _MAGIC or begin[6] not in (1, 2, 3):
        raise ValueError("it is no array of NumPy")
    length = read_exactly(file, 2 if begin[6] == 1 else 4)
    count = int.from_bytes(length, "little")
    if count > _MAX_HEADER:
        raise ValueError(f"its header claims {count:,} characters")
    shape, fortran, dtype = _parse_header(read_exactly(file, count))
    header = Header(shape, fortran, dtype, 8 + len(length) + count)
    _check_type(dtype, structured)
    elements = math.prod(shape)
    if min(shape, default=0) < 0 or (not elements and max(shape) > _MAX_EMPTY) or (elements and not dtype.itemsize):
        raise ValueError(f"its header claims {dtype} {shape}")
    if (promised := elements * dtype.itemsize) != (stored := size - header.end):
        raise ValueError(f"its header promises {promised:,} bytes for {dtype} {shape}, it holds {stored:,}")
    return header


def _parse_header(text: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # Version 3 differs from version 2 only in that field names may be non-ASCII
    try:
        return np.lib.format.read_array_header_2_0(io.BytesIO(struct.pack("<I", len(text)) + text))
    except READ_ERRORS as exc:
        raise ValueError(f"its header is damaged: {error_text(exc)}") from exc


def _check_type(dtype: np.dtype[Any], structured: bool) -> None:
    if dtype.hasobject:
        raise HoldsObjectsError("it holds Python objects, which could run code; save numbers or text")
    if dtype.subdtype is not None or (dtype.kind == "V" and not (structured and dtype.fields)):
        raise ValueError(f"it holds {str(dtype)[:80]}, neither numbers nor text")


def _check_values(array: NDArray[Any]) -> None:
    """Reject bytes that are no value of their type: NumPy does not check them and fails later."""
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
    """Read a fixed number of bytes.

    Args:
        file: Binary file.
        count: Number of bytes.

    Returns:
        The bytes.

    Raises:
        EOFError: If there are fewer.
    """
    content = file.read(count)
    if len(content) < count:
        raise EOFError("it ends too soon")
    return content
