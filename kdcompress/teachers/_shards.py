"""Shards: ranges of samples whose targets lie in files of their own until they are appended to those before them.

The name of a file has its range and its SHA-256, so that a file vouches for itself whoever wrote it. Ranges begin at
multiples of the batch size: the bits of a row do not depend on how the samples were divided.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.leftovers import PARTIAL, is_partial, owner_tag, remove_path
from kdcompress.npy import READ_ERRORS, read_array

PLAN = "plan.json"  # how an interrupted labelling was divided
_NAME = re.compile(r"shard-(\d{12})-(\d{12})-([0-9a-f]{64})\.npy")


@dataclass(frozen=True, order=True)
class Shard:
    """A range of samples.

    Attributes:
        begin: Row of the first sample, a multiple of the batch size.
        end: Row behind the last sample, a multiple of the batch size or the number of samples.
    """

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


@dataclass(frozen=True)
class Piece:
    """A part of what is missing of an entry.

    Attributes:
        shard: Its samples.
        digest: SHA-256 of the file that has their targets; None if they are not labelled yet.
    """

    shard: Shard
    digest: str | None = None


def write_shard(folder: Path, shard: Shard, rows: NDArray[Any]) -> str:
    """Write the targets of a shard under a temporary name, and rename the file; a second attempt writes the same one.

    It is not flushed to disk: one that a power failure damages no longer has the digest in its name.

    Args:
        folder: Folder of the shards.
        shard: The shard.
        rows: Its targets (samples, views, ...), in the type of the entry.

    Returns:
        SHA-256 of the file.
    """
    content = io.BytesIO()
    np.save(content, rows, allow_pickle=False)
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    path = _path(folder, shard, digest)
    part = path.with_name(f"{PARTIAL}{owner_tag()}-{path.name}")
    try:
        part.write_bytes(content.getbuffer())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return digest


def read_shard(folder: Path, piece: Piece, shape: tuple[int, ...], dtype: str = "<f4") -> NDArray[Any] | None:
    """Read the targets of a shard.

    Args:
        folder: Folder of the shards.
        piece: The shard with its digest.
        shape: Shape of one row.
        dtype: Type of the entry.

    Returns:
        The targets; None if the file is missing, or is not as it was written.
    """
    try:
        content = _path(folder, piece.shard, piece.digest or "").read_bytes()
        if hashlib.sha256(content).hexdigest() != piece.digest:
            return None
        rows = read_array(io.BytesIO(content), len(content))
    except READ_ERRORS:
        return None
    return rows if rows.dtype == dtype and rows.shape == (len(piece.shard), *shape) else None


def delete_shard(folder: Path, piece: Piece) -> None:
    """Delete the file of a shard.

    Args:
        folder: Folder of the shards.
        piece: The shard with its digest.
    """
    _path(folder, piece.shard, piece.digest or "").unlink(missing_ok=True)


def delete_shards(folder: Path) -> None:
    """Delete the files of all shards, what killed workers left of them, and their plan.

    Args:
        folder: Folder of the shards.
    """
    for path in [*filter(is_partial, folder.iterdir()), *(path for _, path in _stored(folder))]:
        remove_path(path)
    (folder / PLAN).unlink(missing_ok=True)


def missing_pieces(folder: Path, begin: int, shape: tuple[int, ...], batch: int, dtype: str = "<f4") -> list[Piece]:
    """List what is missing of an entry, in order: shards that are stored and whole, and the ranges between them.

    Args:
        folder: Folder of the shards.
        begin: Number of rows that the entry has already, a multiple of the batch size.
        shape: Shape of the entry.
        batch: Batch size.
        dtype: Type of the entry.

    Returns:
        Pieces that cover all samples from `begin`, each once.
    """
    pieces, n = [], shape[0]
    for piece in sorted((piece for piece, _ in _stored(folder)), key=lambda piece: piece.shard):
        shard = piece.shard
        aligned = shard.begin % batch == 0 and (shard.end % batch == 0 or shard.end == n)
        if (
            not (aligned and begin <= shard.begin < shard.end <= n)
            or read_shard(folder, piece, shape[1:], dtype) is None
        ):
            continue
        if shard.begin > begin:
            pieces.append(Piece(Shard(begin, shard.begin)))
        pieces.append(piece)
        begin = shard.end
    return [*pieces, *([Piece(Shard(begin, n))] if begin < n else [])]


def cut(shard: Shard, rows: int) -> Iterator[Shard]:
    """Cut a range into shards.

    Args:
        shard: The range.
        rows: Samples of each shard, a multiple of the batch size.

    Yields:
        Shards, in order.
    """
    for begin in range(shard.begin, shard.end, rows):
        yield Shard(begin, min(begin + rows, shard.end))


def _stored(folder: Path) -> Iterator[tuple[Piece, Path]]:
    for path in sorted(folder.glob("shard-*.npy")):
        if (match := _NAME.fullmatch(path.name)) and not path.is_symlink():
            yield Piece(Shard(int(match[1]), int(match[2])), match[3]), path


def _path(folder: Path, shard: Shard, digest: str) -> Path:
    return folder / f"shard-{shard.begin:012d}-{shard.end:012d}-{digest}.npy"
