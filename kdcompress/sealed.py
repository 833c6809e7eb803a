"""JSON documents with a checksum of their own content, for files that no manifest records."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kdcompress.digests import cached_sha256, json_digest, sha256_of
from kdcompress.errors import KDCompressError
from kdcompress.files import read_json, write_json

_SEAL = "seal"


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object together with its SHA-256.

    Args:
        path: The file.
        value: A JSON object.
    """
    plain = json.loads(json.dumps(value, allow_nan=False))
    write_json(path, {**plain, _SEAL: json_digest(plain)})


def read_sealed(path: Path, keys: Collection[str]) -> dict[str, Any]:
    """Read a JSON object that `write_sealed` wrote, or an earlier version without a checksum.

    Args:
        path: The file.
        keys: The keys that it may have.

    Returns:
        The object, without its checksum.

    Raises:
        ValueError: If it is damaged or has other keys.
        FileNotFoundError: If the file does not exist.
    """
    try:
        value = read_json(path, KDCompressError, "it is made anew")
    except KDCompressError as exc:
        raise ValueError(str(exc)) from exc
    if not strip_seal(value) or set(value) - set(keys):
        raise ValueError(f"{path} is not as it was written")
    return value


def strip_seal(value: dict[str, Any]) -> bool:
    """Remove the checksum from a JSON object, if it has one.

    Args:
        value: The object, which is changed in place.

    Returns:
        Whether the object matches its checksum; True without one.
    """
    seal = value.pop(_SEAL, None)
    return seal is None or seal == json_digest(value)


def seal(path: Path) -> None:
    """Write the SHA-256 of a file into a sealed document beside it.

    Args:
        path: The file; the document has the suffix `.json`.
    """
    write_sealed(path.with_suffix(".json"), {"sha256": sha256_of(path)})


def is_sealed(path: Path) -> bool:
    """Return whether a file exists and matches the document that `seal` wrote.

    Args:
        path: The file.
    """
    try:
        return bool(read_sealed(path.with_suffix(".json"), ("sha256",))["sha256"] == cached_sha256(path))
    except (OSError, ValueError, KeyError):
        return False
