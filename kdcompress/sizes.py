"""Sizes of files and folders, as they are and after gzip."""

from __future__ import annotations

import zlib
from pathlib import Path


def gzip_size(path: Path) -> int:
    """Compute the size of a file, or of all files below a folder, after gzip, where zeros and recurring values show.

    Args:
        path: File or folder.

    Returns:
        Size in bytes, of level 9.
    """
    items = [path] if path.is_file() else path.rglob("*")
    return sum(_gzip_size(item) for item in items if item.is_file())


def _gzip_size(path: Path) -> int:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)  # 31: the window of 32 KB, with gzip's head and checksum
    with path.open("rb") as content:
        size = sum(len(packer.compress(block)) for block in iter(lambda: content.read(1 << 20), b""))
    return size + len(packer.flush())


def size_of(path: Path) -> int:
    """Compute the size of a file, or of all files below a folder.

    Args:
        path: File or folder.

    Returns:
        Size in bytes.
    """
    items = [path] if path.is_file() else path.rglob("*")
    return sum(item.stat().st_size for item in items if item.is_file())
