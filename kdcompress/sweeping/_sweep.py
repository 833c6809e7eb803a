"""A sweep from start to end: its folder, its trials in one or more processes, the choice, and the gain on test."""

from __future__ import annotations

import contextlib
import time
import warnings
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdcompress._version import __version__
from kdcompress.config.recipe import Recipe, read_resolved_recipe, resolve
from kdcompress.differences import first_difference
from kdcompress.digests import json_digest
from kdcompress.errors import RunError, TrainingError, UsageError
from kdcompress.events import SweepFinished
from kdcompress.files import write_json, write_text
from kdcompress.observers import Observer, check_observers, observe_run
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.schemas import SweepResult
from kdcompress.sweeping._choice import choose_and_test, delete_others, test_chosen
from kdcompress.sweeping._compression import check_sweep_start
from kdcompress.sweeping._fitting import leave_out
from kdcompress.sweeping._memory import frozen_heap
from kdcompress.sweeping._space import TUNED, Space
from kdcompress.sweeping._storage import Storage
from kdcompress.sweeping._study import Study, setting_of
from kdcompress.sweeping._trial import Worker
from kdcompress.sweeping._workers import open_crew
from kdcompress.training.fitting import use_determinism
from kdcompress.trust import trusting_code, trusts_code
from kdcompress.urls import check_local

RECIPE, SPACE, RESULT, STUDY = "sweep.toml", "space.json", "sweep.json", "study.db"
_MADE_BY = "kdcompress sweep"


@dataclass(frozen=True)
class SweepRequest:
    """Options of a sweep.

    Attributes:
        base: Recipe that the settings vary.
        space: Search space.
        folder: Folder of the sweep.
        jobs: Number of processes.
        storage: URL of the Optuna storage; by default a file in the folder.
        observers: Observers of the sweep.
    """

    base: Recipe
    space: Space
    folder: Path
    jobs: int = 1
    storage: str | None = None
    observers: tuple[Observer, ...] = ()

    @property
    def url(self) -> str:
        """URL of the Optuna storage."""
        return self.storage or f"sqlite:///{(self.folder / STUDY).resolve()}"


def run_sweep(request: SweepRequest, progress: Progress) -> SweepResult:
    """Run a sweep, or what is not done of it yet.

    Args:
        request: Options.
        progress: Receives notes and warnings.

    Returns:
        The document that `kdcompress sweep --json` prints.

    Raises:
        UsageError: An option is invalid.
        RunError: The folder holds something else, or the storage is damaged or does not respond.
        TrainingError: No setting could be trained.
    """
    if request.jobs < 1:
        raise UsageError(f"--jobs must be >= 1, got {request.jobs}")
    if request.jobs > 1 and request.base.cluster and request.base.cluster.is_used:
        raise UsageError(
            f"--jobs are processes of this machine, --workers those of the cluster, got both ({request.jobs} jobs): "
            "leave out one"
        )
    check_observers(request.observers)
    check_sweep_start(request.base)
    resumed, recipe = _claim(request), request.base.to_dict()
    work, observers = partial(_run, request), request.observers
    return observe_run(work, request.folder, recipe, resumed, observers, progress, SweepFinished)


def _run(request: SweepRequest, progress: Progress) -> SweepResult:
    start = time.perf_counter()
    if request.base.deterministic:
        use_determinism()
    storage = Storage(request.url, request.folder)
    if storage.notice:
        warnings.warn(storage.notice, DeprecationWarning, stacklevel=2)
        progress.warn(storage.notice)
    with open_crew(request.base, request.folder, request.url, request.jobs, progress) as crew:
        worker = Worker(request.base, request.folder, progress, crew.cluster)
        request = replace(request, space=leave_out(request.space, request.base, worker.data, progress))
        study = _study(request, worker, storage)
        worker.teachers.check_starts(request.base, request.space.seeds)
        worker.prepare(request.space.settings)
        _check_machine(study, worker)
        crew.run(_job(request), progress)
    with frozen_heap():
        study.work(worker.train, lambda others: progress.note(f"waiting for {others} trials of other processes"))
        result = choose_and_test(request.base.name, request.space, study, worker, progress)
    _tell_whereabouts(result, study, worker, progress)
    result["seconds"] = round(time.perf_counter() - start, 3)
    with FileLock(request.folder / ".result.lock"):
        delete_others(result, request.space, worker)
        write_document(request.folder / RESULT, result)
    return SweepResult.of({"sweep": str(request.folder), **result})


def _tell_whereabouts(result: dict[str, Any], study: Study, worker: Worker, progress: Progress) -> None:
    """Tell on which machines the chosen students lie that are not here."""
    chosen = setting_of(result["best"])
    elsewhere = {
        seed: machine for seed, machine in study.whereabouts(chosen).items() if not worker.has(chosen, seed, "student")
    }
    if study.shared and elsewhere:
        places = ", ".join(f"that of seed {seed} on {machine}" for seed, machine in elsewhere.items())
        progress.note(f"students of {chosen} on other machines, in the folders of their sweeps: {places}")


def _job(request: SweepRequest) -> dict[str, Any]:
    """Return what a worker gets; observers run in this process only, and the cluster is this process's."""
    alone = request.base.model_copy(update={"observers": {}, "cluster": None})
    return {
        "recipe": alone.to_dict(),
        "space": request.space.to_dict(),
        "folder": str(request.folder.resolve()),
        "storage": request.storage,
        "trust_code": trusts_code(),
    }


def _check_machine(study: Study, worker: Worker) -> None:
    """Check that all machines have the same version and teachers; those that a machine trains differ from another's."""
    if not study.shared:
        return
    if not study.agree("version", __version__):
        raise RunError(
            f"other machines that share {study.shown} have another version of kdcompress than {__version__}, which is "
            "here: give all of them the same"
        )
    for key, targets in worker.teachers.digests.items():
        if not study.agree(f"targets {key}", targets):
            raise RunError(
                f"the teacher here is not that of the other machines that share {study.shown}: "
                "copy the model file of one of them to all, and give each --teacher FILE"
            )


def run_worker(job: dict[str, Any], number: int, progress: Progress) -> None:
    """Work on the trials of a sweep as one of several processes.

    Args:
        job: `recipe`, `space`, `folder`, `storage` and `trust_code`, as JSON types.
        number: Number of this process, from 1.
        progress: Receives notes.
    """
    base, space = resolve(job["recipe"]), Space.from_dict(job["space"])
    request = SweepRequest(base, space, Path(job["folder"]), storage=job["storage"])
    if base.deterministic:
        use_determinism()
    with trusting_code(job["trust_code"]):
        worker = Worker(base, request.folder, progress, terse=True)
        study = _study(request, worker, Storage(request.url, request.folder), number)
        with frozen_heap():
            study.work(worker.train, lambda others: None)
            with contextlib.suppress(TrainingError):  # the parent reports it
                test_chosen(space, study, worker)


def _study(request: SweepRequest, worker: Worker, storage: Storage, number: int = 0) -> Study:
    """Open the study that all sweeps of this recipe, data and models share."""
    digest = json_digest([_common(request.base), worker.fingerprint])
    return Study(storage, digest, request.space, number)


def _claim(request: SweepRequest) -> bool:
    """Start a sweep in the folder, or check that the sweep in it has the same recipe; return whether there is one."""
    folder = request.folder
    check_local(folder, "the folder of a sweep", UsageError)
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file; choose another --out")
    if folder.is_dir() and not (folder / RECIPE).exists():
        others = sorted(item.name for item in folder.iterdir() if not item.name.startswith("."))
        if others:
            raise RunError(f"{folder} holds {others[0]} and no sweep; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".queue.lock"):
        resumed = (folder / RECIPE).exists()
        if not resumed:
            write_text(folder / RECIPE, request.base.to_toml())
        elif difference := first_difference(_common(read_resolved_recipe(folder / RECIPE)), _common(request.base)):
            key, existing, requested = difference
            raise RunError(
                f"{folder} holds a sweep of another recipe: {key} is {existing!r} there, {requested!r} here; choose "
                "another --out"
            )
        write_json(folder / SPACE, {"made_by": _MADE_BY, "space": request.space.to_dict()})
    return resumed


def _common(base: Recipe) -> dict[str, Any]:
    """Return the parts of a recipe that all sweeps in one folder share: all but what a sweep varies."""
    identity = base.identity
    method = {key: value for key, value in identity["method"].items() if key not in ("name", *TUNED)}
    return {**{key: identity[key] for key in identity if key not in ("baseline", "name", "seed")}, "method": method}
