"""The process of one training worker: it opens the recipe's data and student, and trains with the others."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import Recipe
from kdcompress.errors import ClusterError
from kdcompress.events import Event, Step
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.student import StudentFactory
from kdcompress.progress import Progress
from kdcompress.teachers import TargetRows, Targets
from kdcompress.threads import limit_threads
from kdcompress.training.checkpoints import Row, set_values
from kdcompress.training.phase import Phase
from kdcompress.training.ring import Address, RingDoor
from kdcompress.trust import trusting_code


@dataclass(frozen=True)
class Job:
    """What the workers train.

    Attributes:
        recipe: The recipe.
        phase: The training.
        weights: Initial values of the model's variables.
        targets: Targets of the transfer set by name; None without a teacher.
        fingerprints: Digests of the data that every worker must see.
        trusted: Whether code from files may run.
    """

    recipe: Recipe
    phase: Phase
    weights: list[NDArray[Any]]
    targets: Mapping[str, TargetRows] | None
    fingerprints: tuple[str, str]
    trusted: bool


@dataclass(frozen=True)
class HistoryWritten:
    """The history of a training so far, one row per epoch."""

    rows: list[Row]


class _Silent(Progress):
    """Progress of a worker that does not report."""

    def __init__(self) -> None:
        super().__init__(log=False)

    def emit(self, event: Event) -> None:
        """Do nothing."""


class _Queue(Progress):
    """Keeps events until they are fetched; of the steps, the last one."""

    def __init__(self) -> None:
        super().__init__(log=False)
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def emit(self, event: Any) -> None:
        """Keep an event."""
        self._events.put(event)

    def fetch(self) -> list[Any]:
        """Return the events since the last call."""
        events: list[Any] = []
        while not self._events.empty():
            event = self._events.get()
            if isinstance(event, Step) and events and isinstance(events[-1], Step):
                events.pop()
            events.append(event)
        return events


class TrainingWorker:
    """An actor: its methods are called over Ray, `fetch` and `signs` while `train` runs.

    Args:
        place: Current folder of the process that started the training.
        path: Its `sys.path`, from which models and methods of the user's own are imported.
        environment: Environment variables to set.
        threads: Number of threads.
        host: Address of this machine, on which the other workers reach it; None asks Ray.
        secret: Secret that all workers of this training share.
    """

    def __init__(
        self, place: str, path: list[str], environment: Mapping[str, str], threads: int, host: str | None, secret: bytes
    ) -> None:
        sys.path.extend(folder for folder in path if folder not in sys.path)
        os.environ.update(environment)
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers may share a GPU
        with contextlib.suppress(OSError):  # a folder of the driver alone, which a model in a file does not need
            os.chdir(place)
        limit_threads(threads)
        if host is None:
            import ray

            util: Any = ray.util
            host = str(util.get_node_ip_address())
        self._door = RingDoor(host, secret)
        self._events = _Queue()

    def address(self) -> Address:
        """Return where the neighbour in the ring finds this worker."""
        return self._door.address

    def fetch(self) -> list[Any]:
        """Return the events since the last call."""
        return self._events.fetch()

    def signs(self) -> float:
        """Return the time by the clock of this process: one that is stopped, or stuck in a library, has no answer."""
        return time.monotonic()

    def train(self, job: Job, rank: int, addresses: list[Address]) -> None:
        """Train with the others.

        Args:
            job: What they train.
            rank: Number of this worker, from 0.
            addresses: Addresses of all workers, by rank.
        """
        from kdcompress.training.fitting import train_phase, use_determinism

        progress = self._events if rank == 0 else _Silent()
        if job.recipe.deterministic:
            use_determinism()
        with trusting_code(job.trusted):
            model, feed, val = _open(job)
            ring = self._door.join(rank, addresses)
            try:
                train_phase(
                    job.phase,
                    model,
                    feed,
                    val,
                    progress,
                    lambda rows: progress.emit(HistoryWritten(rows)),  # type: ignore[arg-type]
                    ring,
                )
            finally:
                ring.close()  # the others fail rather than wait


def _open(job: Job) -> tuple[Any, Any, Any]:
    """The model with its initial weights, its batches, and the validation samples."""
    data = RecipeData(job.recipe, _Silent())
    if (data.split.fingerprint, data.unlabelled_fingerprint) != job.fingerprints:
        raise ClusterError(
            "a training worker sees other data than the process that started it; give all nodes the same files, in a "
            "folder that they share or each in the same place"
        )
    students = StudentFactory(Experiment(job.recipe, data))
    model = students.build(job.phase.method)
    set_values(model.variables, [np.asarray(value) for value in job.weights])
    targets = None if job.targets is None else Targets(job.targets, True, 0.0, "")
    return model, students.make_feed(job.phase.method, targets), data.split.val
