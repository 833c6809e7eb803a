"""Training of one student on several workers, which begin again from the checkpoint when one of them is lost."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdcompress.cluster._images import register_maps
from kdcompress.cluster._session import Cluster
from kdcompress.cluster._watch import Watch
from kdcompress.cluster.training_worker import HistoryWritten, Job, TrainingWorker
from kdcompress.config.recipe import Recipe
from kdcompress.data import Samples
from kdcompress.errors import ClusterError, KDCompressError, one_line
from kdcompress.formatting import plural
from kdcompress.pipeline.data import RecipeData
from kdcompress.progress import Calls, Progress
from kdcompress.training.checkpoints import Row, TrainingState, get_values, set_values
from kdcompress.training.feed import Feed
from kdcompress.training.group import WorkerLostError
from kdcompress.training.phase import Phase
from kdcompress.trust import trusts_code

OnHistory = Callable[[list[Row]], None]

_RESTARTS = 3
_START_S = 180.0  # in which all workers must have a place and import kdcompress
_POLL_S = 0.3
_GRACE_S = 10.0  # in which the others tell why, after the first worker has failed
_PASSED_ON = ("KDCOMPRESS_CACHE_DIR", "KDCOMPRESS_DATA_DIR")


@dataclass(frozen=True)
class ClusterTrainer:
    """Trains as `train_phase` does, on the workers of a cluster.

    Attributes:
        cluster: The cluster.
        recipe: The recipe.
        data: Its data.
    """

    cluster: Cluster
    recipe: Recipe
    data: RecipeData

    def __call__(
        self, phase: Phase, model: Any, feed: Feed, val: Samples, progress: Progress, on_history: OnHistory
    ) -> TrainingState:
        """Train a model, from its checkpoint if there is one, and give it its best weights.

        Args:
            phase: The training.
            model: Keras model with its initial weights.
            feed: Training data.
            val: Validation samples; the workers open their own.
            progress: Listener.
            on_history: Called after each epoch with the history so far, one row per epoch.

        Returns:
            The state after the last epoch.

        Raises:
            ClusterError: There is no room for the workers, or they were lost too often.
            KDCompressError: The training failed.
        """
        absolute = replace(phase, checkpoint=phase.checkpoint.resolve(), features=phase.features_folder.resolve())
        fingerprints = (self.data.split.fingerprint, self.data.unlabelled_fingerprint)
        job = Job(self.recipe, absolute, get_values(model.variables), feed.targets, fingerprints, trusts_code())
        register_maps(self.cluster.ray)
        reference = self.cluster.ray.put(job)
        for restart in range(_RESTARTS + 1):
            try:
                self._train_once(phase.name, reference, progress, on_history)
                break
            except WorkerLostError as exc:
                if restart == _RESTARTS:
                    raise ClusterError(
                        f"{phase.name}: {exc}, for the {_RESTARTS + 1}th time; {_RESTARTS} restarts are all, the same "
                        "command goes on after the last epoch"
                    ) from exc
                progress.warn(
                    f"{phase.name}: {exc}; all workers go on from the checkpoint of the last epoch (restart "
                    f"{restart + 1} of {_RESTARTS})"
                )
        return _take_over(phase, model)

    def _train_once(self, name: str, job: Any, progress: Progress, on_history: OnHistory) -> None:
        """Train until the end, or until a worker is lost."""
        ray, count = self.cluster.ray, self.cluster.section.train_workers
        with self._workers(count) as workers:
            start = time.perf_counter()
            try:
                addresses = ray.get([worker.address.remote() for worker in workers], timeout=_START_S)
            except ray.exceptions.GetTimeoutError as exc:
                raise ClusterError(
                    f"{plural(count, 'training worker')} did not start within {_START_S:g} s; `ray status` shows what "
                    "the cluster waits for, fewer cluster.train_workers need less of it"
                ) from exc
            except ray.exceptions.RayActorError as exc:
                raise WorkerLostError(f"a training worker did not start ({one_line(exc, 120)})") from exc
            progress.note(
                f"{name}: {plural(count, 'worker')} train together, each on 1/{count} of every batch; started in "
                f"{time.perf_counter() - start:.1f} s"
            )
            runs = {worker.train.remote(job, rank, addresses): rank for rank, worker in enumerate(workers)}
            self._supervise(workers, runs, progress, on_history)

    def _supervise(self, workers: list[Any], runs: dict[Any, int], progress: Progress, on_history: OnHistory) -> None:
        ray, pending, errors = self.cluster.ray, list(runs), dict[int, Exception]()
        watch: Watch[int] = Watch(ray, self.cluster.section.silence_s, lambda worker: worker.signs.remote())
        deadline = float("inf")
        while pending and time.monotonic() < deadline:
            ready, pending = ray.wait(pending, timeout=_POLL_S)
            self._report(workers[0], progress, on_history)
            for rank, seconds in watch.silent({runs[run]: workers[runs[run]] for run in pending}).items():
                raise WorkerLostError(f"training worker {rank} has given no sign of life for {seconds:.0f} s")
            for run in ready:
                try:
                    ray.get(run)
                except Exception as exc:
                    errors[runs[run]] = exc
                    deadline = min(deadline, time.monotonic() + _GRACE_S)
        if errors:
            raise _cause(ray, errors)

    def _report(self, leader: Any, progress: Progress, on_history: OnHistory) -> None:
        """Report what worker 0 has reported; one that is lost is noticed by its training."""
        calls = Calls(progress)
        with contextlib.suppress(self.cluster.ray.exceptions.RayError):
            for event in self.cluster.ray.get(leader.fetch.remote(), timeout=_GRACE_S):
                if isinstance(event, HistoryWritten):
                    on_history(event.rows)
                else:
                    calls.observe(event)

    @contextlib.contextmanager
    def _workers(self, count: int) -> Iterator[list[Any]]:
        """Processes for the workers, which are ended afterwards."""
        ray, threads = self.cluster.ray, train_threads(self.cluster)
        resources = {"num_cpus": threads, "num_gpus": self.cluster.section.gpus_per_worker}
        options = {"max_restarts": 0, "max_concurrency": 3, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(TrainingWorker).options(**options, **resources)
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        path, secret = [folder for folder in sys.path if folder], secrets.token_bytes(32)
        place = str(Path.cwd())
        workers = [actor.remote(place, path, environment, threads, None, secret) for _ in range(count)]
        try:
            yield workers
        finally:
            for worker in workers:
                ray.kill(worker)


def train_threads(cluster: Cluster) -> int:
    """Compute the number of threads of each training worker, the same on all machines.

    Args:
        cluster: The cluster.

    Raises:
        ClusterError: There is not a core for every worker.
    """
    count, cores = cluster.section.train_workers, [node.cpus for node in cluster.nodes]
    threads = next((t for t in range(min(cores), 0, -1) if sum(n // t for n in cores) >= count), 0)
    if threads == 0:
        raise ClusterError(
            f"cluster.train_workers is {count}, and the cluster has {plural(sum(cores), 'core')}: each needs one"
        )
    return threads


def _cause(ray: Any, errors: dict[int, Exception]) -> Exception:
    """The error that says most: that of a training before that of a lost worker."""
    lost: Exception = WorkerLostError("a training worker is gone")
    for rank, error in sorted(errors.items()):
        own = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
        if isinstance(own, WorkerLostError):
            continue
        if isinstance(own, ray.exceptions.RayActorError):
            lost = WorkerLostError(f"training worker {rank} was lost")
        elif isinstance(own, KDCompressError):
            return own
        else:
            return ClusterError(f"training worker {rank} failed ({one_line(own)})")
    return lost


def _take_over(phase: Phase, model: Any) -> TrainingState:
    """The state that worker 0 has written, whose best weights the model gets."""
    state = TrainingState.load(phase.checkpoint, phase.key)
    if state is None or state.epoch < phase.epochs:
        raise ClusterError(
            f"{phase.name}: worker 0 has written no checkpoint that this process sees in "
            f"{phase.checkpoint.parent}; name a run folder that all nodes share (--out)"
        )
    set_values(model.variables, state.best[: len(model.variables)])  # a projector's values follow
    return state
