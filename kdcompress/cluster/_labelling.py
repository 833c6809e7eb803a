"""Labelling by the workers of a cluster: shards are given out, checked against their digests and merged in order."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdcompress.cluster._images import register_maps
from kdcompress.cluster._merging import ShardWork
from kdcompress.cluster._nodes import computing_versions
from kdcompress.cluster._session import Cluster, open_cluster
from kdcompress.cluster._worker import Job, pixels_digest
from kdcompress.cluster.training import ClusterTrainer
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
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
)
from kdcompress.training.fitting import Trainer, train_phase
from kdcompress.trust import trusts_code

_SAMPLE = 4  # samples by which a worker is compared with this process
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
            with contextlib.closing(ShardWork(self.cluster, labelling, job, shape, begin)) as work:
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
            target=labelling.target,
            outputs=labelling.compute(teacher.resize(sample.images)[:]),
        )


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
