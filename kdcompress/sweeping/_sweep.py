"""A sweep from start to end: its folder, its trials in one or more processes, the choice, and the gain on test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from filelock import FileLock

from kdcompress import processes
from kdcompress.cache import cache_dir
from kdcompress.cluster import workers_of
from kdcompress.config.recipe import Recipe, read_resolved_recipe, resolve
from kdcompress.differences import first_difference
from kdcompress.digests import json_digest
from kdcompress.errors import RunError, UsageError, one_line
from kdcompress.events import SweepFinished
from kdcompress.files import write_json, write_text
from kdcompress.observers import Observer, check_observers, observe_run
from kdcompress.paths import safe_join
from kdcompress.pipeline.experiment import Workers
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.schemas import SweepResult
from kdcompress.sweeping._choice import choose_and_test
from kdcompress.sweeping._compression import check_sweep_start
from kdcompress.sweeping._events import from_line
from kdcompress.sweeping._space import TUNED, Space
from kdcompress.sweeping._study import Study
from kdcompress.sweeping._trial import Worker
from kdcompress.training.fitting import use_determinism
from kdcompress.trust import trusting_code, trusts_code

RECIPE, SPACE, RESULT, STUDY = "sweep.toml", "space.json", "sweep.json", "study.db"
_MADE_BY = "kdcompress sweep"
_WORKER = "kdcompress.sweeping._worker"


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
    check_observers(request.observers)
    check_sweep_start(request.base)
    resumed, recipe = _claim(request), request.base.to_dict()
    work, observers = partial(_run, request), request.observers
    return observe_run(work, request.folder, recipe, resumed, observers, progress, SweepFinished)


def _run(request: SweepRequest, progress: Progress) -> SweepResult:
    with workers_of(request.base, [cache_dir(), request.folder.resolve()], progress) as workers:
        return _run_with(workers, request, progress)


def _run_with(workers: Workers | None, request: SweepRequest, progress: Progress) -> SweepResult:
    start = time.perf_counter()
    if request.base.deterministic:
        use_determinism()
    worker = Worker(request.base, request.folder, progress, workers)
    study = _study(request, worker)
    worker.prepare(request.space.settings)
    if request.jobs > 1:
        _in_processes(request, progress)
    with _storage_errors(study.shown):
        study.work(worker.train, lambda others: progress.note(f"waiting for {others} trials of other processes"))
        with FileLock(request.folder / ".result.lock"):
            result = choose_and_test(request.base.name, request.space, study, worker, progress)
            result["seconds"] = round(time.perf_counter() - start, 3)
            write_document(request.folder / RESULT, result)
    return SweepResult.of({"sweep": str(request.folder), **result})


@contextlib.contextmanager
def _storage_errors(storage: str) -> Iterator[None]:
    """Convert errors of the database to a RunError of one line."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, JSONDecodeError) as exc:
        reason = one_line(exc).partition(" (Background on this error")[0]
        raise RunError(f"storage {storage} does not respond or is damaged ({reason})") from exc


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
        _study(request, worker, number).work(worker.train, lambda others: None)


def _study(request: SweepRequest, worker: Worker, number: int = 0) -> Study:
    """Open the study that all sweeps of this recipe, data and models share."""
    digest = json_digest([_common(request.base), worker.fingerprint])
    return Study(request.url, digest, request.space, FileLock(request.folder / ".queue.lock"), number)


def _claim(request: SweepRequest) -> bool:
    """Start a sweep in the folder, or check that the sweep in it has the same recipe; return whether there is one."""
    folder = request.folder
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


def _in_processes(request: SweepRequest, progress: Progress) -> None:
    """Run the trials in `jobs` processes that share the cores, and wait for them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // request.jobs))
    job = {
        "recipe": request.base.model_copy(update={"observers": {}}).to_dict(),  # observers run in this process only
        "space": request.space.to_dict(),
        "folder": str(request.folder.resolve()),
        "storage": request.storage,
        "trust_code": trusts_code(),
    }
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
    children: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(1, request.jobs + 1):
            log_file = safe_join(request.folder, f"worker-{number}.log", str(request.folder), RunError)
            with log_file.open("ab") as log:
                children.append(
                    processes.start_module(
                        _WORKER, str(number), environment=environment, stdout=subprocess.PIPE, stderr=log
                    )
                )
            processes.send_job(children[-1], job)
        _forward_events(children, progress)
    finally:
        for child in children:
            child.terminate()
            child.wait()


def _forward_events(children: list[subprocess.Popen[bytes]], progress: Progress) -> None:
    """Forward the events of the processes until all have ended."""
    for line in processes.read_lines(children):
        progress.emit(from_line(line))
    for number, child in enumerate(children, start=1):
        if child.wait() != 0:
            progress.warn(f"worker {number} ended early (exit {child.returncode}); see worker-{number}.log")
