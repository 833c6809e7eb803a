"""The target cache: a teacher's outputs for every sample and view, computed once and kept on disk.

An entry is a folder named by its key (the teacher, the samples, the views) that holds `logits.npy`, shape
(samples, views, classes), and `meta.json`, written last. Row i belongs to sample i of the split, whatever the order of
training. While labelling, rows are appended to a part file, so that a killed run goes on behind its last whole batch.
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
from kdcompress.teachers._base import TargetRows, Teacher

SCHEMA = 2
LOGITS = "logits"
TARGETS = (LOGITS,)  # what teachers give
# Samples that a teacher is asked again before its cached answers are believed
_PROBED = 16


@dataclass(frozen=True)
class Targets:
    """A teacher's outputs for every sample and view, on disk.

    Attributes:
        arrays: The outputs by name, each (samples, views, ...); `logits` are (samples, views, classes).
        cached: Whether they were in the cache.
        seconds: The time that getting them took.
        key: The digest of what they depend on.
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
    """What a target depends on, and nothing else: who labels (by digest, and how it is asked), and what."""
    return {"schema": SCHEMA, **teacher.identity, "split": split_fingerprint, "views": views.identity}


def compute_targets(
    teacher: Teacher, samples: Samples, split_fingerprint: str, views: ViewsSection, progress: Progress
) -> Targets:
    """The teacher's logits for all views of `samples`, from the cache or computed now.

    An entry that does not match its key, shape and SHA-256 is refused and made again. Two runs that want the same
    entry do not label twice. Errors: TargetsError names the sample whose outputs are not finite.
    """
    start = time.perf_counter()
    key = target_key(teacher, split_fingerprint, views)
    name = json_digest(key)
    if (rows := teacher.stored_logits(samples)) is not None:
        return Targets({LOGITS: rows}, True, time.perf_counter() - start, name)
    with lock_entry("targets", name, progress) as folder:
        cached = _valid(folder, key, teacher, samples, progress)
        if not cached:
            _make(folder, key, teacher, samples, views, progress)
        logits = np.load(folder / "logits.npy", mmap_mode="r", allow_pickle=False)
    return Targets({LOGITS: logits}, cached, time.perf_counter() - start, name)


def has_cached_targets(key: dict[str, Any]) -> bool:
    """Whether the cache has an entry of that key (which may still prove damaged when it is opened)."""
    return (cache_dir("targets") / json_digest(key) / "meta.json").is_file()


def _valid(folder: Path, key: dict[str, Any], teacher: Teacher, samples: Samples, progress: Progress) -> bool:
    if not (folder / "meta.json").is_file():
        return False
    try:
        meta = read_sealed(folder / "meta.json", ("key", "ids", "sha256", "shape"))
        matches = bool(
            meta["key"] == key
            and meta["ids"] == _ids_digest(samples)
            and meta["sha256"] == sha256_of(folder / "logits.npy")
            and _same_answers(np.load(folder / "logits.npy", mmap_mode="r"), teacher, samples)
        )
    except (ValueError, KeyError, TypeError, OSError):
        matches = False
    if not matches:
        progress.warn(f"cached targets {folder.name[:12]} do not match what they claim to be: refused, labelling anew")
    return matches


def _same_answers(kept: NDArray[np.float32], teacher: Teacher, samples: Samples) -> bool:
    """Whether the teacher still answers as it did: what a subclassed model computes is not all in its digest."""
    few = teacher.resize(samples.images)[:_PROBED]
    return np.allclose(teacher.logits(few), kept[:_PROBED, 0], rtol=1e-2, atol=1e-2)


def _make(
    folder: Path, key: dict[str, Any], teacher: Teacher, samples: Samples, views: ViewsSection, progress: Progress
) -> None:
    delete_entry(folder, artefacts.TARGETS)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    answer = teacher.logits(teacher.resize(samples.images)[:1]).shape[1:]
    shape = (len(samples), views.count, *answer)
    try:
        _append_rows(part / "logits.npy", shape, teacher, samples, views, progress)
    except TargetsError:
        delete_entry(part, artefacts.TARGETS)
        raise
    sync(part / "logits.npy")
    meta = {"key": key, "ids": _ids_digest(samples), "sha256": sha256_of(part / "logits.npy"), "shape": shape}
    write_sealed(part / "meta.json", meta)
    part.rename(folder)
    sync(folder.parent)


def _append_rows(
    path: Path,
    shape: tuple[int, ...],
    teacher: Teacher,
    samples: Samples,
    views: ViewsSection,
    progress: Progress,
) -> None:
    """Append the rows that are not there yet, batch by batch, behind the header of a npy file of `shape`.

    Plain writes, for a full disk then is an error, not a crash as with a memory map.
    """
    # Of one size for all of an entry, so that a row's bits do not depend on where labelling was broken off
    batch = default_batch_size(teacher.adapter.input_shape)
    batch_bytes = 4 * batch * math.prod(shape[1:])
    progress.begin("labelling", -(-len(samples) // batch))
    try:
        with path.open("ab") as out:
            header = _header(shape)
            if out.tell() < len(header):
                out.truncate(0)
                out.write(header)
            done = (out.tell() - len(header)) // batch_bytes
            out.truncate(len(header) + done * batch_bytes)
            for number, logits in enumerate(_batches(teacher, samples, views, batch, done), start=done + 1):
                out.write(logits.astype("<f4").tobytes())
                out.flush()
                progress.step(number, {})
    finally:
        progress.end()


def _header(shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _batches(
    teacher: Teacher, samples: Samples, views: ViewsSection, batch: int, skip: int
) -> Iterator[NDArray[np.float32]]:
    size, its_size = samples.images.shape[1:3], teacher.adapter.input_shape[:2]
    images = teacher.resize(samples.images)
    for place, block in enumerate(iter_blocks(images, batch, skip * batch), start=skip):
        ids = samples.ids[place * batch : place * batch + len(block)]
        logits = [teacher.logits(block)]
        if views.count > 1:
            transforms = scale_transforms(view_transforms(views, ids, *size), size, its_size)
            for view in range(1, views.count):
                logits.append(teacher.logits(np.asarray(apply_transforms(block, transforms[:, view], views.fill))))
        rows = np.stack(logits, axis=1)
        _refuse_non_finite(rows, ids)
        yield rows


def _refuse_non_finite(block: NDArray[np.float32], ids: NDArray[np.str_]) -> None:
    bad = np.argwhere(~np.isfinite(block).all(axis=tuple(range(2, block.ndim))))
    if len(bad):
        row, view = bad[0]
        raise TargetsError(
            f"the teacher's outputs for sample {ids[row]} (view {view}) are not finite: {block[row, view].tolist()}; "
            "check the teacher's weights and the range of pixels it expects (0 to 255 arrive)"
        )


def _ids_digest(samples: Samples) -> str:
    return json_digest(samples.ids.tolist())
