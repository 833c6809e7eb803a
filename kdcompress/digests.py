"""SHA-256 digests of files, folders and JSON values."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from kdcompress.errors import KDCompressError
from kdcompress.paths import check_regular_file

# A file may be written again within the resolution of the file system's clock without a change of its times
_SETTLED_NS = 2_000_000_000
_DIGESTS: dict[Path, tuple[tuple[int, ...], str]] = {}


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file.

    Args:
        path: A regular file.

    Returns:
        64 hex digits.

    Raises:
        KDCompressError: If `path` is not a regular file.
    """
    check_regular_file(path, KDCompressError)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def cached_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file once per process, as long as its size and times stay the same.

    Args:
        path: A regular file.

    Returns:
        64 hex digits.
    """
    status = path.stat()
    state = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    if (known := _DIGESTS.get(path)) and known[0] == state:
        return known[1]
    digest = sha256_of(path)
    if time.time_ns() - max(state[1:3]) > _SETTLED_NS:
        _DIGESTS[path] = state, digest
    return digest


def content_digest(path: Path) -> str:
    """Compute the SHA-256 of a file, or of the names and digests of all files in a folder.

    Args:
        path: File or folder.

    Returns:
        64 hex digits.
    """
    if path.is_file():
        return sha256_of(path)
    return json_digest({str(item.relative_to(path)): sha256_of(item) for item in path.rglob("*") if item.is_file()})


def json_digest(value: Any) -> str:
    """Compute the SHA-256 of a JSON value in canonical form.

    Args:
        value: Anything that `json.dumps` accepts.

    Returns:
        64 hex digits.
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
