"""The target cache: the outputs of a teacher for each sample and view, computed once and kept on disk.

An entry is a folder named by its key (the teacher, the samples, the views) with `logits.npy`, shape
(samples, views, classes), and `meta.json`, which is written last. Row i belongs to sample i of the split, in whatever
order they are trained on. Labelling appends rows to a partial file, so that a killed run resumes behind the last whole
batch.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples, apply_transforms, iter_blocks, scale_transforms, view_transforms
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import TargetsError
from kdcompress.files import sync
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers._base import Teacher
from kdcompress.teachers._spec import TargetRows

SCHEMA = 2
LOGITS = "logits"
TARGETS = (LOGITS,)  # names of the outputs that teachers give
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


@dataclass(frozen=True)
class _Labelling:
    """The teacher, the samples and the views of a cache entry, and the listener."""

    teacher: Teacher
    samples: Samples
    views: ViewsSection
    progress: Progress


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
    teacher: Teacher, samples: Samples, split_fingerprint: str, views: ViewsSection, progress: Progress
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
    labelling = _Labelling(teacher, samples, views, progress)
    with lock_entry("targets", name, progress) as folder:
        cached = _is_valid(folder, key, labelling)
        if not cached:
            _write_entry(folder, key, labelling)
        logits = np.load(folder / "logits.npy", mmap_mode="r", allow_pickle=False)
    return Targets({LOGITS: logits}, cached, time.perf_counter() - start, name)


def has_cached_targets(key: dict[str, Any]) -> bool:
    """Whether the cache has an entry of a key, which is validated only when it is used.

    Args:
        key: See `target_key`.
    """
    return (cache_dir("targets") / json_digest(key) / "meta.json").is_file()


def _is_valid(folder: Path, key: dict[str, Any], labelling: _Labelling) -> bool:
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


def _same_logits(cached: NDArray[np.float32], labelling: _Labelling) -> bool:
    """Whether the teacher reproduces its cached logits; the digest does not cover the code of a subclassed model."""
    images = labelling.teacher.resize(labelling.samples.images)[:_N_VERIFIED]
    return np.allclose(labelling.teacher.logits(images), cached[:_N_VERIFIED, 0], rtol=1e-2, atol=1e-2)


def _write_entry(folder: Path, key: dict[str, Any], labelling: _Labelling) -> None:
    teacher, samples = labelling.teacher, labelling.samples
    delete_entry(folder, artefacts.TARGETS)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    output_shape = teacher.logits(teacher.resize(samples.images)[:1]).shape[1:]
    shape = (len(samples), labelling.views.count, *output_shape)
    try:
        _append_rows(part / "logits.npy", shape, labelling)
    except TargetsError:
        delete_entry(part, artefacts.TARGETS)
        raise
    sync(part / "logits.npy")
    meta = {"key": key, "ids": _ids_digest(samples), "sha256": sha256_of(part / "logits.npy"), "shape": shape}
    write_sealed(part / "meta.json", meta)
    part.rename(folder)
    sync(folder.parent)


def _append_rows(path: Path, shape: tuple[int, ...], labelling: _Labelling) -> None:
    """Append the missing rows, batch by batch, behind the header of an npy file of `shape`.

    Rows are written, not memory-mapped: so a full disk is an error, not a crash.
    """
    progress = labelling.progress
    # One batch size for all of an entry, so that the bits of a row do not depend on where labelling was interrupted
    batch = default_batch_size(labelling.teacher.adapter.input_shape)
    batch_bytes = 4 * batch * math.prod(shape[1:])
    progress.begin("labelling", -(-len(labelling.samples) // batch))
    try:
        with path.open("ab") as out:
            header = _header(shape)
            if out.tell() < len(header):
                out.truncate(0)
                out.write(header)
            done = (out.tell() - len(header)) // batch_bytes
            out.truncate(len(header) + done * batch_bytes)
            for number, logits in enumerate(_batches(labelling, batch, done), start=done + 1):
                out.write(logits.astype("<f4").tobytes())
                out.flush()
                progress.step(number, {})
    finally:
        progress.end()


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _batches(labelling: _Labelling, batch: int, first: int) -> Iterator[NDArray[np.float32]]:
    """The logits (batch, views, ...) of all batches from number `first`."""
    teacher, samples, views = labelling.teacher, labelling.samples, labelling.views
    size, teacher_size = samples.images.shape[1:3], teacher.adapter.input_shape[:2]
    images = teacher.resize(samples.images)
    for number, block in enumerate(iter_blocks(images, batch, first * batch), start=first):
        ids = samples.ids[number * batch : number * batch + len(block)]
        logits = [teacher.logits(block)]
        if views.count > 1:
            transforms = scale_transforms(view_transforms(views, ids, *size), size, teacher_size)
            for view in range(1, views.count):
                logits.append(teacher.logits(np.asarray(apply_transforms(block, transforms[:, view], views.fill))))
        rows = np.stack(logits, axis=1)
        _check_finite(rows, ids)
        yield rows


def _check_finite(rows: NDArray[np.float32], ids: NDArray[np.str_]) -> None:
    bad = np.argwhere(~np.isfinite(rows).all(axis=tuple(range(2, rows.ndim))))
    if len(bad):
        row, view = bad[0]
        raise TargetsError(
            f"the teacher's outputs for sample {ids[row]} (view {view}) are not finite: {rows[row, view].tolist()}; "
            "check the teacher's weights and the range of pixels it expects (0 to 255 arrive)"
        )


def _ids_digest(samples: Samples) -> str:
    return json_digest(samples.ids.tolist())
