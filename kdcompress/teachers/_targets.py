"""The target cache: the outputs of a teacher for each sample and view, computed once and kept on disk.

An entry is a folder named by its key (the teacher, the samples, the views) with one array (samples, views, ...),
`logits.npy` or `embedding.npy`, and `meta.json`, which is written last. Row i belongs to sample i of the split, in
whatever order they are trained on. Labelling appends rows to a partial file, so that a killed run resumes behind the
last whole batch; what workers had labelled further on lies in shards beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import time
from collections.abc import Mapping, Sequence
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
from kdcompress.teachers._embedding import Classifier
from kdcompress.teachers._labelling import EMBEDDING, LOGITS, Labeller, Labelling, OneProcess
from kdcompress.teachers._shards import delete_shards
from kdcompress.teachers._spec import TargetRows

SCHEMA = 2
ONE_PROCESS = OneProcess()
_IDS = 4096  # ids that are digested at a time
_N_VERIFIED = 16  # samples that are predicted again before a cache entry is used


@dataclass(frozen=True)
class Targets:
    """Outputs of a teacher for each sample and view.

    Attributes:
        arrays: Outputs (samples, views, ...) by name; `logits` are (samples, views, classes), an `embedding` is
            (samples, views, width).
        cached: Whether they come from the cache.
        seconds: Time spent on computing or reading them.
        key: Digest of everything that they depend on.
        classifier: The teacher's layer from an embedding to logits; None where no embedding is wanted, or it is not
            known.
    """

    arrays: Mapping[str, TargetRows]
    cached: bool
    seconds: float
    key: str
    classifier: Classifier | None = None

    @property
    def logits(self) -> TargetRows:
        """The teacher's logits (samples, views, classes)."""
        return self.arrays[LOGITS]

    @property
    def rows(self) -> TargetRows:
        """The targets of one kind; all have the same samples and views."""
        return next(iter(self.arrays.values()))


def target_key(teacher: Teacher, split_fingerprint: str, views: ViewsSection, target: str = LOGITS) -> dict[str, Any]:
    """Make the key of a cache entry: everything that targets depend on, as JSON values.

    Args:
        teacher: The teacher.
        split_fingerprint: SHA-256 of the samples.
        views: The views of each sample.
        target: Name of the targets.

    Returns:
        The key.
    """
    key = {"schema": SCHEMA, **teacher.identity, "split": split_fingerprint, "views": views.identity}
    return key if target == LOGITS else {**key, target: teacher.embedder.layer}


def compute_targets(
    teacher: Teacher,
    samples: Samples,
    split_fingerprint: str,
    views: ViewsSection,
    progress: Progress,
    labeller: Labeller = ONE_PROCESS,
    target: str = LOGITS,
) -> Targets:
    """Compute the teacher's outputs for all views of all samples, or read them from the cache.

    An entry that does not match its key, shape and SHA-256 is discarded and computed again. Concurrent runs that need
    the same entry compute it once.

    Args:
        teacher: The teacher.
        samples: Samples to label.
        split_fingerprint: SHA-256 of the samples.
        views: The views of each sample.
        progress: Listener.
        labeller: Who computes them, which changes none.
        target: Name of the targets, `logits` or `embedding`.

    Returns:
        The targets, in files that are memory-mapped.

    Raises:
        TargetsError: Names the sample whose outputs are not finite.
    """
    start = time.perf_counter()
    key = target_key(teacher, split_fingerprint, views, target)
    name = json_digest(key)
    stored = teacher.stored_logits(samples) if target == LOGITS else teacher.stored_embeddings(samples)
    if stored is not None:
        return Targets({target: stored}, True, time.perf_counter() - start, name)
    labelling = Labelling(teacher, samples, views, progress, target)
    with lock_entry("targets", name, progress) as folder:
        cached = _is_valid(folder, key, labelling)
        if not cached:
            _write_entry(folder, key, labelling, labeller)
        rows = np.load(folder / f"{target}.npy", mmap_mode="r", allow_pickle=False)
    classifier = teacher.classifier if target == EMBEDDING else None
    return Targets({target: rows}, cached, time.perf_counter() - start, name, classifier)


def join_targets(parts: Sequence[Targets]) -> Targets:
    """Put targets of several kinds for the same samples and views together.

    Args:
        parts: Targets of one kind each.
    """
    if len(parts) == 1:
        return parts[0]
    arrays = {name: rows for part in parts for name, rows in part.arrays.items()}
    cached, seconds = all(part.cached for part in parts), sum(part.seconds for part in parts)
    classifier = next((part.classifier for part in parts if part.classifier), None)
    return Targets(arrays, cached, seconds, json_digest([part.key for part in parts]), classifier)


def has_cached_targets(key: dict[str, Any]) -> bool:
    """Whether the cache has an entry of a key, which is validated only when it is used.

    Args:
        key: See `target_key`.
    """
    return (cache_dir("targets") / json_digest(key) / "meta.json").is_file()


def _is_valid(folder: Path, key: dict[str, Any], labelling: Labelling) -> bool:
    if not (folder / "meta.json").is_file():
        return False
    path = folder / f"{labelling.target}.npy"
    try:
        meta = read_sealed(folder / "meta.json", ("key", "ids", "sha256", "shape"))
        matches = bool(
            meta["key"] == key
            and meta["ids"] == _ids_digest(labelling.samples)
            and meta["sha256"] == sha256_of(path)
            and _gives_same(np.load(path, mmap_mode="r"), labelling)
        )
    except (ValueError, KeyError, TypeError, OSError):
        matches = False
    if not matches:
        labelling.progress.warn(
            f"cached targets {folder.name[:12]} do not match what they claim to be: refused, labelling anew"
        )
    return matches


def _gives_same(cached: NDArray[Any], labelling: Labelling) -> bool:
    """Whether the teacher reproduces its cached targets; the digest does not cover the code of a subclassed model."""
    images = labelling.teacher.resize(labelling.samples.images)[:_N_VERIFIED]
    return np.allclose(labelling.compute(images), cached[:_N_VERIFIED, 0], rtol=1e-2, atol=1e-2)


def _write_entry(folder: Path, key: dict[str, Any], labelling: Labelling, labeller: Labeller) -> None:
    teacher, samples = labelling.teacher, labelling.samples
    delete_entry(folder, artefacts.TARGETS)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    path = part / f"{labelling.target}.npy"
    output_shape = labelling.compute(teacher.resize(samples.images)[:1]).shape[1:]
    shape = (len(samples), labelling.views.count, *output_shape)
    try:
        _append_rows(path, shape, labelling, labeller)
    except TargetsError:
        with contextlib.suppress(OSError):  # a worker that is being ended may put a shard there
            delete_entry(part, artefacts.TARGETS)
        raise
    delete_shards(part)
    sync(path)
    meta = {"key": key, "ids": _ids_digest(samples), "sha256": sha256_of(path), "shape": shape}
    write_sealed(part / "meta.json", meta)
    part.rename(folder)
    sync(folder.parent)


def _append_rows(path: Path, shape: tuple[int, ...], labelling: Labelling, labeller: Labeller) -> None:
    """Append the missing rows, in order, behind the header of an npy file of `shape`.

    Rows are written, not memory-mapped: so a full disk is an error, not a crash.
    """
    progress, batch = labelling.progress, labelling.batch
    batch_bytes = np.dtype(labelling.dtype).itemsize * batch * math.prod(shape[1:])
    progress.begin("labelling", -(-shape[0] // batch))
    try:
        with path.open("ab") as out:
            header = _header(shape, labelling.dtype)
            if out.tell() < len(header):
                out.truncate(0)
                out.write(header)
            done = (out.tell() - len(header)) // batch_bytes
            out.truncate(len(header) + done * batch_bytes)
            for labelled in labeller.label(labelling, path.parent, shape, done * batch):
                out.write(labelled.rows.tobytes())
                out.flush()
                done += -(-len(labelled.rows) // batch)
                progress.step(done, labelled.figures)
    finally:
        progress.end()


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _ids_digest(samples: Samples) -> str:
    """The `json_digest` of the list of ids, of which there may be too many for a list of Python's."""
    digest, ids = hashlib.sha256(b"["), samples.ids
    for begin in range(0, len(ids), _IDS):
        text = json.dumps(ids[begin : begin + _IDS].tolist(), separators=(",", ":"))[1:-1]
        digest.update(f"{',' if begin else ''}{text}".encode())
    digest.update(b"]")
    return digest.hexdigest()
