"""The target cache: the outputs of a teacher for each sample and view, computed once and kept on disk.

An entry is a folder named by its key (the teacher, the samples, the views) with `logits.npy`, shape
(samples, views, classes), and `meta.json`, which is written last. Row i belongs to sample i of the split, in whatever
order they are trained on. Labelling appends rows to a partial file, so that a killed run resumes behind the last whole
batch; what workers had labelled further on lies in shards beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import TargetsError
from kdcompress.files import sync
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers._base import Teacher
from kdcompress.teachers._labelling import Labeller, Labelling, OneProcess
from kdcompress.teachers._shards import delete_shards
from kdcompress.teachers._spec import TargetRows

SCHEMA = 2
LOGITS = "logits"
TARGETS = (LOGITS,)  # names of the outputs that teachers give
ONE_PROCESS = OneProcess()
_IDS = 4096  # ids that are digested at a time
_N_VERIFIED = 16  # samples that are predicted again before a cache entry is used


@dataclass(frozen=True)
class Targets:
    """Outputs of a teacher for each sample and view.

    Attributes:
        arrays: Outputs (samples, views, ...) by name; `logits` are (samples, views, classes).
        cached: Whether they come from the cache.
        seconds: Time spent on computing or reading them.
        key: Digest of everything that they depend on.
    """

    arrays: Mapping[str, TargetRows]
    cached: bool
    seconds: float
    key: str

    @property
    def logits(self) -> TargetRows:
        """The teacher's logits (samples, views, classes)."""
        return self.arrays[LOGITS]


def target_key(teacher: Teacher, split_fingerprint: str, views: ViewsSection) -> dict[str, Any]:
    """Make the key of a cache entry: everything that targets depend on, as JSON values.

    Args:
        teacher: The teacher.
        split_fingerprint: SHA-256 of the samples.
        views: The views of each sample.

    Returns:
        The key.
    """
    return {"schema": SCHEMA, **teacher.identity, "split": split_fingerprint, "views": views.identity}


def compute_targets(
    teacher: Teacher,
    samples: Samples,
    split_fingerprint: str,
    views: ViewsSection,
    progress: Progress,
    labeller: Labeller = ONE_PROCESS,
) -> Targets:
    """Compute the teacher's logits for all views of all samples, or read them from the cache.

    An entry that does not match its key, shape and SHA-256 is discarded and computed again. Concurrent runs that need
    the same entry compute it once.

    Args:
        teacher: The teacher.
        samples: Samples to label.
        split_fingerprint: SHA-256 of the samples.
        views: The views of each sample.
        progress: Listener.
        labeller: Who computes them, which changes none.

    Returns:
        The targets, in files that are memory-mapped.

    Raises:
        TargetsError: Names the sample whose outputs are not finite.
    """
    start = time.perf_counter()
    key = target_key(teacher, split_fingerprint, views)
    name = json_digest(key)
    if (rows := teacher.stored_logits(samples)) is not None:
        return Targets({LOGITS: rows}, True, time.perf_counter() - start, name)
    labelling = Labelling(teacher, samples, views, progress)
    with lock_entry("targets", name, progress) as folder:
        cached = _is_valid(folder, key, labelling)
        if not cached:
            _write_entry(folder, key, labelling, labeller)
        logits = np.load(folder / "logits.npy", mmap_mode="r", allow_pickle=False)
    return Targets({LOGITS: logits}, cached, time.perf_counter() - start, name)


def has_cached_targets(key: dict[str, Any]) -> bool:
    """Whether the cache has an entry of a key, which is validated only when it is used.

    Args:
        key: See `target_key`.
    """
    return (cache_dir("targets") / json_digest(key) / "meta.json").is_file()


def _is_valid(folder: Path, key: dict[str, Any], labelling: Labelling) -> bool:
    if not (folder / "meta.json").is_file():
        return False
    try:
        meta = read_sealed(folder / "meta.json", ("key", "ids", "sha256", "shape"))
        matches = bool(
            meta["key"] == key
            and meta["ids"] == _ids_digest(labelling.samples)
            and meta["sha256"] == sha256_of(folder / "logits.npy")
            and _same_logits(np.load(folder / "logits.npy", mmap_mode="r"), labelling)
        )
    except (ValueError, KeyError, TypeError, OSError):
        matches = False
    if not matches:
        labelling.progress.warn(
            f"cached targets {folder.name[:12]} do not match what they claim to be: refused, labelling anew"
        )
    return matches


def _same_logits(cached: NDArray[np.float32], labelling: Labelling) -> bool:
    """Whether the teacher reproduces its cached logits; the digest does not cover the code of a subclassed model."""
    images = labelling.teacher.resize(labelling.samples.images)[:_N_VERIFIED]
    return np.allclose(labelling.teacher.logits(images), cached[:_N_VERIFIED, 0], rtol=1e-2, atol=1e-2)


def _write_entry(folder: Path, key: dict[str, Any], labelling: Labelling, labeller: Labeller) -> None:
    teacher, samples = labelling.teacher, labelling.samples
    delete_entry(folder, artefacts.TARGETS)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    output_shape = teacher.logits(teacher.resize(samples.images)[:1]).shape[1:]
    shape = (len(samples), labelling.views.count, *output_shape)
    try:
        _append_rows(part / "logits.npy", shape, labelling, labeller)
    except TargetsError:
        with contextlib.suppress(OSError):  # a worker that is being ended may put a shard there
            delete_entry(part, artefacts.TARGETS)
        raise
    delete_shards(part)
    sync(part / "logits.npy")
    meta = {"key": key, "ids": _ids_digest(samples), "sha256": sha256_of(part / "logits.npy"), "shape": shape}
    write_sealed(part / "meta.json", meta)
    part.rename(folder)
    sync(folder.parent)


def _append_rows(path: Path, shape: tuple[int, ...], labelling: Labelling, labeller: Labeller) -> None:
    """Append the missing rows, in order, behind the header of an npy file of `shape`.

    Rows are written, not memory-mapped: so a full disk is an error, not a crash.
    """
    progress, batch = labelling.progress, labelling.batch
    batch_bytes = 4 * batch * math.prod(shape[1:])
    progress.begin("labelling", -(-shape[0] // batch))
    try:
        with path.open("ab") as out:
            header = _header(shape)
            if out.tell() < len(header):
                out.truncate(0)
                out.write(header)
            done = (out.tell() - len(header)) // batch_bytes
            out.truncate(len(header) + done * batch_bytes)
            for labelled in labeller.label(labelling, path.parent, shape, done * batch):
                out.write(labelled.rows.astype("<f4").tobytes())
                out.flush()
                done += -(-len(labelled.rows) // batch)
                progress.step(done, labelled.figures)
    finally:
        progress.end()


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _ids_digest(samples: Samples) -> str:
    """The `json_digest` of the list of ids, of which there may be too many for a list of Python's."""
    digest, ids = hashlib.sha256(b"["), samples.ids
    for begin in range(0, len(ids), _IDS):
        text = json.dumps(ids[begin : begin + _IDS].tolist(), separators=(",", ":"))[1:-1]
        digest.update(f"{',' if begin else ''}{text}".encode())
    digest.update(b"]")
    return digest.hexdigest()
