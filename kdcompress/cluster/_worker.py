"""What a worker does: it opens the teacher once, and labels one shard after another."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.cluster._nodes import Probe, check_answer, computing_versions
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import Samples
from kdcompress.errors import KDCompressError
from kdcompress.progress import Progress
from kdcompress.teachers import (
    Labelling,
    OutputReading,
    OutputSpec,
    Shard,
    Teacher,
    check_output_count,
    write_shard,
)
from kdcompress.threads import limit_threads
from kdcompress.trust import trusting_code


@dataclass(frozen=True)
class Job:
    """What all workers need to label as this process would.

    Attributes:
        section: Settings of the teacher.
        spec: Images and outputs that are required of it.
        copy: Copy of the teacher in the shared folder; None for a kind that is opened where it lies.
        reading: How its outputs are read.
        views: The views of each sample.
        versions: Versions of the packages that must be the same on all machines.
        folder: Folder of the shards.
        threads: Number of threads.
        deterministic: Whether TensorFlow runs the teacher, and is made to give the same bits in every run.
        trusted: Whether code that comes with files may run.
        place: The current folder, from which the user's modules are imported.
        environment: Variables that name the user's folders.
        sample: The first samples.
        pixels: SHA-256 of their pixels.
        target: Name of the targets.
        outputs: Their targets in one view.
    """

    section: SingleTeacherSection
    spec: OutputSpec
    copy: Path | None
    reading: OutputReading
    views: ViewsSection
    versions: Mapping[str, str]
    folder: Path
    threads: int
    deterministic: bool
    trusted: bool
    place: str
    environment: Mapping[str, str]
    sample: Samples
    pixels: str
    target: str
    outputs: NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """An error that would be the same wherever the work is done again.

    Attributes:
        kind: Class of the error in `kdcompress.errors`.
        message: Its message.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class Ready:
    """A worker that has opened the teacher.

    Attributes:
        process: Its process id.
        exact: Whether its targets of the first samples are those of the driver, bit by bit.
    """

    process: int
    exact: bool


@dataclass(frozen=True)
class Answer:
    """A shard that is labelled and lies in the shared folder.

    Attributes:
        digest: SHA-256 of its file.
        seconds: Time that it took.
    """

    digest: str
    seconds: float


class LabelWorker:
    """A process that labels shards.

    Args:
        job: What all workers need.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._teacher: Teacher | None = None
        self._n_batches = 0

    def start(self) -> Ready | Problem:
        """Open the teacher, and compare the first samples and their targets with those of the driver."""
        job = self.job
        limit_threads(job.threads)
        os.environ.update(job.environment)
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers may share a GPU
        with contextlib.suppress(OSError):  # a folder of the driver alone, which a model in a file does not need
            os.chdir(job.place)
        try:
            # Also of a machine that joined the cluster after its machines were checked
            found = computing_versions()
            check_answer(platform.node(), Probe(job.versions, {}), {name: found.get(name) for name in job.versions}, {})
            with trusting_code(job.trusted):
                self._teacher = self._open()
            return self._compare(self._teacher)
        except KDCompressError as exc:
            return Problem(type(exc).__name__, str(exc))

    def label(self, shard: Shard, samples: Samples) -> Answer | Problem:
        """Label a shard, and write its targets into the shared folder.

        Args:
            shard: Its range among all samples.
            samples: Its samples.
        """
        start = time.perf_counter()
        assert self._teacher is not None
        labelling = Labelling(self._teacher, samples, self.job.views, Progress(), self.job.target)
        try:
            with trusting_code(self.job.trusted):
                rows = np.concatenate(list(self._counted(labelling.batches(Shard(0, len(samples))))))
        except KDCompressError as exc:
            return Problem(type(exc).__name__, str(exc))
        return Answer(write_shard(self.job.folder, shard, rows), time.perf_counter() - start)

    def signs(self) -> int:
        """Return how many batches have been labelled, while others are."""
        return self._n_batches

    def _counted(self, batches: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for batch in batches:
            self._n_batches += 1
            yield batch

    def _open(self) -> Teacher:
        from kdcompress.pipeline.opening import open_single_teacher
        from kdcompress.training.fitting import use_determinism

        job = self.job
        if job.deterministic:
            use_determinism()
        teacher = open_single_teacher(job.section, job.spec, job.copy)
        check_output_count(teacher, job.spec)
        teacher.reading = job.reading
        return teacher

    def _compare(self, teacher: Teacher) -> Ready | Problem:
        job = self.job
        if pixels_digest(job.sample) != job.pixels:
            return Problem(
                "DataError",
                "a worker reads other pixels than this process for the first images: the data folder must be the same "
                "on all nodes; share it, or copy it there whole",
            )
        labelling = Labelling(teacher, job.sample, job.views, Progress(), job.target)
        outputs = labelling.compute(teacher.resize(job.sample.images)[:])
        if outputs.shape != job.outputs.shape or not np.allclose(outputs, job.outputs, rtol=1e-2, atol=1e-2):
            return Problem(
                "ModelError",
                f"{teacher.description} gives other outputs on a worker than in this process for the same images; "
                "are its packages and modules the same on all nodes?",
            )
        return Ready(os.getpid(), bool(np.array_equal(outputs, job.outputs)))


def pixels_digest(samples: Samples) -> str:
    """Compute the SHA-256 of the pixels of samples, as they are read.

    Args:
        samples: The samples.
    """
    import hashlib

    pixels: Any = np.ascontiguousarray(samples.images[:])
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
