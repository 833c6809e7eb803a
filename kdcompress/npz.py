"""Reading of npz and zip files as untrusted input: sizes are checked before anything is unpacked, checksums while it
is read."""

from __future__ import annotations

import io
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from kdcompress.errors import KDCompressError, error_text
from kdcompress.npy import READ_ERRORS, map_array, read_array, read_exactly
from kdcompress.paths import check_regular_file

# Largest ratio of unpacked to stored bytes, and the unpacked size up to which any ratio is allowed
MAX_RATIO, SLACK = 100, 64 << 20
_MAX_MEMBERS = 100_000
_MAX_READ = 16 << 20  # bytes of a zip file's directory
_BLOCK = 1 << 20
_LOCAL_HEADER = 30  # bytes before a member's name
_ENCRYPTED = 1
SUPPORTED_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others, zipfile unpacks more than requested


def read_npz(
    path: Path, error: type[KDCompressError], remedy: str = "", structured: bool = False
) -> dict[str, NDArray[Any]]:
    """Read all arrays of an npz file into memory.

    Args:
        path: The file.
        error: Exception to raise.
        remedy: What to do about a damaged file, for the message.
        structured: Whether structured types are allowed.

    Returns:
        Arrays by name.

    Raises:
        FileNotFoundError: If the file does not exist.
        KDCompressError: As `error`, for anything wrong with the file.
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
        suffix = f"; {remedy}" if remedy else ""
        raise error(f"{path} is truncated, damaged or no npz file ({error_text(exc)}){suffix}") from exc


def check_unpacked_size(claimed: int, stored: int) -> None:
    """Check that compressed data do not claim to unpack to far more bytes than are stored.

    Args:
        claimed: Unpacked size in bytes, by the header.
        stored: Stored size in bytes.

    Raises:
        ValueError: If the ratio is above MAX_RATIO.
    """
    if claimed > max(SLACK, MAX_RATIO * stored):
        problem = f"it would unpack to {claimed:,} bytes, more than {MAX_RATIO} times the {stored:,} that are stored"
        raise ValueError(f"{problem}: a bomb; store it uncompressed if it is none")


@contextmanager
def open_npz(path: Path) -> Iterator[Npz]:
    """Context manager that opens an npz file and checks its directory.

    Args:
        path: The file.

    Yields:
        The opened file.

    Raises:
        Exception: One of READ_ERRORS for a damaged file, also while its members are read.
    """
    with path.open("rb") as file, open_zip(path) as archive:
        yield Npz(file, archive, path.stat().st_size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Context manager that opens a zip file and checks its directory.

    Args:
        path: The file.

    Yields:
        The opened file.

    Raises:
        Exception: One of READ_ERRORS for a damaged file, and for one with too many, duplicate, overlapping or
            encrypted members.
    """
    with _LimitedReader(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        _check_members(archive.infolist(), archive.start_dir)
        yield archive


class _LimitedReader(io.BufferedReader):
    """Limits the size of one read: zipfile reads as many bytes as a damaged file claims."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_READ:
            raise ValueError(f"its table of contents claims {size:,} bytes")
        return super().read(size)


class Npz:
    """An open npz file.

    Attributes:
        file: The underlying file.
        members: Zip entries of the arrays, by the names of the arrays.
        other_members: File names of the members that are no arrays.
    """

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, size: int) -> None:
        self.file, self._archive = file, archive
        infos = archive.infolist()
        check_unpacked_size(sum(info.file_size for info in infos), size)
        self.members = {info.filename[:-4]: info for info in infos if info.filename.endswith(".npy")}
        self.other_members = [info.filename for info in infos if not info.filename.endswith(".npy")]

    def load(self, name: str, structured: bool = False) -> NDArray[Any]:
        """Read an array into memory and check its CRC.

        Args:
            name: Key of `members`.
            structured: Whether structured types are allowed.

        Returns:
            The array.
        """
        member = self._checked_member(name)
        with self._archive.open(member) as source:
            return read_array(source, member.file_size, structured)

    def check_crc(self, name: str) -> None:
        """Read a member once and check its CRC.

        Args:
            name: Key of `members`.

        Raises:
            zipfile.BadZipFile: If the CRC is wrong.
        """
        with self._archive.open(self._checked_member(name)) as source:
            while source.read(_BLOCK):
                pass

    def memory_map(self, name: str) -> NDArray[Any]:
        """Map an uncompressed array into memory, without checking its CRC.

        Args:
            name: Key of `members`.

        Returns:
            The array, a read-only memory map.

        Raises:
            ValueError: If it is compressed or damaged.
        """
        member = self._checked_member(name)
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("it is compressed")
        self.file.seek(member.header_offset + _LOCAL_HEADER - 4)
        lengths = struct.unpack("<HH", read_exactly(self.file, 4))  # of the name and of the extra field behind it
        self.file.seek(sum(lengths), io.SEEK_CUR)
        return map_array(self.file, member.file_size)

    def _checked_member(self, name: str) -> zipfile.ZipInfo:
        member = self.members[name]
        if member.compress_type not in SUPPORTED_COMPRESSION:
            raise ValueError("it is packed neither stored nor deflated")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise ValueError("it is stored in another size than its own")
        check_unpacked_size(member.file_size, member.compress_size)
        return member


def _check_members(infos: list[zipfile.ZipInfo], end: int) -> None:
    """Reject too many, duplicate, encrypted and overlapping members; `end` is where the last one must end."""
    if len(infos) > _MAX_MEMBERS:
        raise ValueError(f"it has {len(infos):,} members, above {_MAX_MEMBERS:,}")
    if duplicates := [name for name, count in Counter(info.filename for info in infos).items() if count > 1]:
        raise ValueError(f"{duplicates[0][:80]!r} is in it twice")
    if encrypted := [info.filename for info in infos if info.flag_bits & _ENCRYPTED]:
        raise ValueError(f"{encrypted[0][:80]!r} is encrypted")
    ordered = sorted(infos, key=lambda info: info.header_offset)
    bounds = [*(info.header_offset for info in ordered[1:]), end]
    for info, bound in zip(ordered, bounds, strict=False):  # an empty file has `end` alone
        if info.header_offset < 0 or info.header_offset + _LOCAL_HEADER + info.compress_size > bound:
            raise ValueError(f"{info.filename[:80]!r} overlaps what stands behind it")
