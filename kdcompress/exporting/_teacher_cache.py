"""Exports of teachers in the cache, and what is kept beside them so that a run needs not open its teacher.

To open a Keras teacher takes the time in which TensorFlow is imported, which is longer than most benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdcompress.config.sections import PreprocessingSection
from kdcompress.digests import content_digest, json_digest
from kdcompress.exporting._float32 import find_policy
from kdcompress.exporting._pipeline import read_list
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import Teacher
from kdcompress.versions import versions

_FILE = "teacher.json"
_KEYS = ("preprocessing", "nchw", "policy")


@dataclass(frozen=True)
class TeacherFile:
    """A teacher as a file.

    Attributes:
        path: The file; None if there is none.
        precision: Its precision, if known.
        reasons: Why it failed parity, or why there is no file.
    """

    path: Path | None
    precision: str | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class KnownTeacher:
    """What was found when a teacher was opened.

    Attributes:
        nchw: Whether its input has the layout NCHW.
        policy: Dtype policy in which it computes.
    """

    nchw: bool
    policy: str


def entry_key(digest: str, input_shape: tuple[int, ...]) -> str:
    """Return the name of the cache entry of a teacher.

    Args:
        digest: Digest of the teacher.
        input_shape: (H, W, C) of its input.
    """
    return json_digest([digest, input_shape, versions("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")])


def read_cached(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the intact exports of an entry that passed parity; others are tried again.

    Args:
        folder: Folder of the entry.

    Returns:
        Entries of its `exports.json` by format.
    """
    entries = read_list(folder, folder).get("artefacts", [])
    present = [entry for entry in entries if entry["passed"] and (folder / entry["path"]).is_file()]
    return {entry["format"]: entry for entry in present if content_digest(folder / entry["path"]) == entry["sha256"]}


def files_of(folder: Path, entries: Mapping[str, dict[str, Any]], formats: Sequence[str]) -> dict[str, TeacherFile]:
    """Select exports.

    Args:
        folder: Folder of the entry.
        entries: Entries of `exports.json` by format.
        formats: Names of the formats that are wanted.

    Returns:
        Files by format.
    """
    return {
        name: TeacherFile(folder / entry["path"], entry["precision"], entry["reasons"])
        for name, entry in entries.items()
        if name in formats
    }


def remember(folder: Path, teacher: Teacher) -> KnownTeacher:
    """Keep what has been found of an open teacher.

    Args:
        folder: Folder of its exports in the cache.
        teacher: The teacher.

    Returns:
        What was kept.
    """
    known = KnownTeacher(teacher.adapter.nchw, find_policy(teacher.model))
    kept = {"preprocessing": _settings(teacher.adapter.section), "nchw": known.nchw, "policy": known.policy}
    if _read(folder) != kept:
        folder.mkdir(parents=True, exist_ok=True)
        write_sealed(folder / _FILE, kept)
    return known


def recall(folder: Path, preprocessing: PreprocessingSection) -> KnownTeacher | None:
    """Return what was found of a teacher when it was opened with the same preprocessing.

    Args:
        folder: Folder of its exports in the cache.
        preprocessing: Preprocessing that the run's recipe names.

    Returns:
        What was kept; None if there is nothing, or it is damaged.
    """
    kept = _read(folder)
    nchw, policy = kept.get("nchw"), kept.get("policy")
    if not isinstance(nchw, bool) or not isinstance(policy, str):
        return None
    return KnownTeacher(nchw, policy) if kept.get("preprocessing") == _settings(preprocessing) else None


def _settings(preprocessing: PreprocessingSection) -> dict[str, object]:
    return preprocessing.model_dump(mode="json")


def _read(folder: Path) -> dict[str, object]:
    try:
        return read_sealed(folder / _FILE, _KEYS)
    except (ValueError, FileNotFoundError):
        return {}
