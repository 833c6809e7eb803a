"""Labelling by the workers of a cluster: shards are given out, checked against their digests and merged in order."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress import errors
from kdcompress.cluster._crew import Crew
from kdcompress.cluster._images import register_maps
from kdcompress.cluster._nodes import computing_versions
from kdcompress.cluster._session import Cluster, open_cluster
from kdcompress.cluster._tally import Tally
from kdcompress.cluster._worker import Job, LabelWorker, Problem, Ready, pixels_digest
from kdcompress.cluster.training import ClusterTrainer
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import LazyImages
from kdcompress.errors import ClusterError, KDCompressError
from kdcompress.files import scratch_folder
from kdcompress.pipeline.experiment import Experiment, Workers
from kdcompress.progress import Progress
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import (
    PLAN,
    Labelled,
    Labeller,
    Labelling,
    OutputSpec,
    Piece,
    Shard,
    cut,
    delete_shard,
    missing_pieces,
    read_shard,
)
from kdcompress.training.fitting import Trainer, train_phase
from kdcompress.trust import trusts_code

_SHARDS_PER_WORKER = 16
MAX_ROWS = 2048  # samples of a shard
_MAX_BYTES = 64 << 20  # of the targets of a shard, and of its pixels if they travel with it
_SAMPLE = 4  # samples by which a worker is compared with this process
_MAX_REREADS = 3
FOLDERS = ("KDCOMPRESS_CACHE_DIR", "KDCOMPRESS_DATA_DIR")


@dataclass(frozen=True)
class ClusterWorkers(Workers):
    """The workers of a cluster.

    Attributes:
        cluster: The cluster.
    """

    cluster: Cluster

    def labeller(self, section: SingleTeacherSection, spec: OutputSpec, deterministic: bool) -> Labeller:
        """Return what gives the shards of a teacher to the workers; see `Workers.labeller`."""
        return ClusterLabeller(self.cluster, section, spec, deterministic)

    def trainer(self, experiment: Experiment) -> Trainer:
        """Return what trains students; see `Workers.trainer`."""
        if self.cluster.section.train_workers == 1:
            return train_phase
        return ClusterTrainer(self.cluster, experiment.recipe, experiment.data)


@contextlib.contextmanager
def workers_of(recipe: Recipe, folders: Sequence[Path], progress: Progress) -> Iterator[ClusterWorkers | None]:
    """Context manager that opens the cluster that a recipe asks for, before anything is computed.

    Args:
        recipe: The recipe.
        folders: Folders that all machines must see and write to.
        progress: Receives a note.

    Yields:
        The workers; None for a recipe without a cluster.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: The cluster does not start or answer, or a machine lacks something.
    """
    if recipe.cluster is None or not recipe.cluster.is_used:
        yield None
        return
    with open_cluster(recipe.cluster, folders, progress) as cluster:
        yield ClusterWorkers(cluster)


@dataclass(frozen=True)
class ClusterLabeller(Labeller):
    """Labels in the workers of a cluster.

    Attributes:
        cluster: The cluster.
        section: Settings of the teacher.
        spec: Images and outputs that are required of it.
        deterministic: Whether TensorFlow is made to give the same bits in every run.
    """

    cluster: Cluster
    section: SingleTeacherSection
    spec: OutputSpec
    deterministic: bool

    def label(self, labelling: Labelling, folder: Path, shape: tuple[int, ...], begin: int) -> Iterator[Labelled]:
        """Yield the targets shard by shard; see `Labeller.label`."""
        threads = _planned_threads(folder, labelling.batch, self.cluster.threads)
        register_maps(self.cluster.ray)
        with scratch_folder(folder) as scratch:
            job = self._job(labelling, folder, scratch, threads)
            with contextlib.closing(_Work(self.cluster, labelling, job, shape, begin)) as work:
                yield from work.run()

    def _job(self, labelling: Labelling, folder: Path, scratch: Path, threads: int) -> Job:
        teacher = labelling.teacher
        sample = labelling.samples.take(np.arange(min(_SAMPLE, len(labelling.samples))))
        copy = scratch / f"teacher{teacher.copy_suffix}" if teacher.copy_suffix else None
        if copy is not None:
            teacher.save_copy(copy)
        return Job(
            section=self.section,
            spec=self.spec,
            copy=copy,
            reading=teacher.reading,
            views=labelling.views,
            versions=computing_versions(),
            folder=folder,
            threads=threads,
            deterministic=self.deterministic and teacher.traceable,
            trusted=trusts_code(),
            place=str(Path.cwd()),
            environment={name: os.environ[name] for name in FOLDERS if name in os.environ},
            sample=sample,
            pixels=pixels_digest(sample),
            logits=teacher.logits(teacher.resize(sample.images)[:]),
        )


class _Work:
    """Shards that are given out and come back in any order, and are passed on in theirs.

    Args:
        cluster: The cluster.
        labelling: Teacher, samples and views.
        job: What all workers need.
        shape: Shape (samples, views, ...) of the targets.
        begin: Number of samples whose targets are there.
    """

    def __init__(self, cluster: Cluster, labelling: Labelling, job: Job, shape: tuple[int, ...], begin: int) -> None:
        self._labelling, self._job, self._shape, self._begin = labelling, job, shape, begin
        pieces = missing_pieces(job.folder, begin, shape, labelling.batch)
        rows = _shard_rows(labelling, shape, cluster.workers)
        self._waiting = deque(shard for piece in pieces if not piece.digest for shard in cut(piece.shard, rows))
        self._done = {piece.shard.begin: piece for piece in pieces if piece.digest}
        self._rereads: dict[Shard, int] = {}
        workers = max(1, min(cluster.workers, len(self._waiting)))
        actor = cluster.ray.remote(LabelWorker)
        shared = cluster.ray.put(job)
        self._crew: Crew[Shard] = Crew(
            cluster, lambda options: actor.options(**options).remote(shared), workers, self._describe
        )
        self._tally = Tally(labelling.progress, len(self._waiting) + len(self._done))

    def run(self) -> Iterator[Labelled]:
        """Yield the targets of all samples from the first one that is missing."""
        position = self._begin
        while position < self._shape[0]:
            if (piece := self._done.pop(position, None)) is not None:
                if (rows := self._read(piece)) is None:
                    continue
                position = piece.shard.end
                figures = self._tally.count(len(rows), self._crew.n_ready, self._crew.deaths)
                yield Labelled(rows, figures)
                delete_shard(self._job.folder, piece)  # its rows are in the file by now
                continue
            self._hand_out()
            for outcome in self._crew.outcomes():
                self._take(outcome.task, outcome.value)

    def close(self) -> None:
        """End the workers."""
        self._crew.dismiss()

    def _hand_out(self) -> None:
        for actor in self._crew.free():
            if not self._waiting:
                return
            shard = self._waiting.popleft()
            samples = self._labelling.samples.take(np.arange(shard.begin, shard.end))
            self._crew.give(actor, shard, actor.label.remote(shard, samples))

    def _take(self, shard: Shard | None, value: Any) -> None:
        if isinstance(value, Problem):
            raise _error(value)
        if isinstance(value, Ready):
            self._tally.ready(value.exact)
        elif shard is not None and value is None:
            self._waiting.appendleft(shard)
        elif shard is not None:
            self._done[shard.begin] = Piece(shard, value.digest)

    def _read(self, piece: Piece) -> Any:
        """Read the targets of a shard; if its file is not there as the worker wrote it, it is labelled again."""
        rows = read_shard(self._job.folder, piece, self._shape[1:])
        if rows is None:
            self._rereads[piece.shard] = self._rereads.get(piece.shard, 0) + 1
            if self._rereads[piece.shard] > _MAX_REREADS:
                raise ClusterError(
                    f"{self._describe(piece.shard)} was labelled {_MAX_REREADS} times, and its file in "
                    f"{self._job.folder} was never as its worker wrote it; do all nodes share that folder?"
                )
            time.sleep(1.0)  # a network file system may show a file a moment later
            rows = read_shard(self._job.folder, piece, self._shape[1:])
        if rows is None:
            self._waiting.appendleft(piece.shard)
        return rows

    def _describe(self, shard: Shard) -> str:
        ids = self._labelling.samples.ids
        return f"the shard of samples {ids[shard.begin]} to {ids[shard.end - 1]}"


def _shard_rows(labelling: Labelling, shape: tuple[int, ...], workers: int) -> int:
    """Samples of a shard: enough to be worth a call, few enough that little is lost with a worker."""
    row_bytes, samples = 4 * math.prod(shape[1:]), labelling.samples
    if not isinstance(samples.images, LazyImages):
        row_bytes = max(row_bytes, math.prod(samples.images.shape[1:]))
    wanted = min(MAX_ROWS, _MAX_BYTES // row_bytes, shape[0] // (workers * _SHARDS_PER_WORKER))
    return max(1, wanted // labelling.batch) * labelling.batch


def _planned_threads(folder: Path, batch: int, threads: int) -> int:
    """The threads of each worker: those with which an interrupted labelling began, as long as it is not finished."""
    try:
        plan = read_sealed(folder / PLAN, ("batch", "threads"))
        if plan["batch"] == batch and isinstance(plan["threads"], int) and plan["threads"] > 0:
            return int(plan["threads"])
    except (OSError, ValueError, KeyError):
        pass
    write_sealed(folder / PLAN, {"batch": batch, "threads": threads})
    return threads


def _error(problem: Problem) -> KDCompressError:
    """Make the error that a worker met, as if it had been met here."""
    kind = getattr(errors, problem.kind, KDCompressError)
    is_own = isinstance(kind, type) and issubclass(kind, KDCompressError)
    return kind(problem.message) if is_own else KDCompressError(problem.message)
