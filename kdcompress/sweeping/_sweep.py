"""A whole sweep: its folder, its trials here or in processes of their own, the choice, and the gain on test."""

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
from kdcompress.config.recipe import Recipe, read_resolved_recipe, resolve
from kdcompress.differences import first_difference
from kdcompress.digests import json_digest
from kdcompress.errors import RunError, TrainingError, UsageError, one_line
from kdcompress.files import write_json, write_text
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.observers import Observer, check_observers, observe_run
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.schemas import SweepResult
from kdcompress.sweeping._events import from_line
from kdcompress.sweeping._gain import interval, paired_gain, sentence
from kdcompress.sweeping._space import TUNED, Setting, Space
from kdcompress.sweeping._study import Study
from kdcompress.sweeping._trial import Worker
from kdcompress.training.fitting import use_determinism
from kdcompress.trust import trusting_code, trusts_code

RECIPE, SPACE, RESULT, STUDY = "sweep.toml", "space.json", "sweep.json", "study.db"
_MADE_BY = "kdcompress sweep"
_WORKER = "kdcompress.sweeping._worker"


@dataclass(frozen=True)
class SweepRequest:
    """What a sweep is asked for: around which recipe, what is tried, in how many processes, and where it is kept."""

    base: Recipe
    space: Space
    folder: Path
    jobs: int = 1
    storage: str | None = None
    observers: tuple[Observer, ...] = ()

    @property
    def url(self) -> str:
        """The storage: a file in the sweep's folder, unless one is named."""
        return self.storage or f"sqlite:///{(self.folder / STUDY).resolve()}"


def run_sweep(request: SweepRequest, progress: Progress) -> SweepResult:
    """Do what is not done yet of a sweep, and return the document that `kdcompress sweep --json` prints.

    Errors: RunError for a folder or storage of another sweep; UsageError.
    """
    if request.jobs < 1:
        raise UsageError(f"--jobs must be >= 1, got {request.jobs}")
    check_observers(request.observers)
    resumed, recipe = _claim(request), request.base.to_dict()
    return observe_run(partial(_run, request), request.folder, recipe, resumed, request.observers, progress)


def _run(request: SweepRequest, progress: Progress) -> SweepResult:
    start = time.perf_counter()
    if request.base.deterministic:
        use_determinism()
    worker = Worker(request.base, request.folder, progress)
    study = _study(request, worker)
    worker.prepare(request.space.settings)
    if request.jobs > 1:
        _in_processes(request, progress)
    with _told_of_storage(study.shown):
        study.work(worker.train, lambda others: progress.note(f"waiting for {others} trials of other processes"))
        with FileLock(request.folder / ".result.lock"):
            result = _finish(request, study, worker, progress)
            result["seconds"] = round(time.perf_counter() - start, 3)
            write_document(request.folder / RESULT, result)
    return SweepResult.of({"sweep": str(request.folder), **result})


@contextlib.contextmanager
def _told_of_storage(storage: str) -> Iterator[None]:
    """What a database says of its own damage, in one line."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, JSONDecodeError) as exc:
        said = one_line(exc).partition(" (Background on this error")[0]
        raise RunError(f"storage {storage} does not answer or is damaged ({said})") from exc


def work_along(facts: dict[str, Any], number: int, progress: Progress) -> None:
    """Work on the trials of a sweep as one of several processes, counted from 1; `facts` are what it was told of it."""
    base, space = resolve(facts["recipe"]), Space.of(facts["space"])
    request = SweepRequest(base, space, Path(facts["folder"]), storage=facts["storage"])
    if base.deterministic:
        use_determinism()
    with trusting_code(facts["trust_code"]):
        worker = Worker(base, request.folder, progress, terse=True)
        _study(request, worker, number).work(worker.train, lambda others: None)


def _study(request: SweepRequest, worker: Worker, number: int = 0) -> Study:
    """The study of all sweeps of this recipe on these data and models."""
    digest = json_digest([_known(request.base), worker.fingerprint])
    return Study(request.url, digest, request.space, FileLock(request.folder / ".queue.lock"), number)


def _claim(request: SweepRequest) -> bool:
    """Begin a sweep in the folder, or check that the one there is of the same recipe; what it tries may differ.

    Returns whether there was one.
    """
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
        elif found := first_difference(_known(read_resolved_recipe(folder / RECIPE)), _known(request.base)):
            key, was, now = found
            raise RunError(
                f"{folder} holds a sweep of another recipe: {key} is {was!r} there, {now!r} here; choose another --out"
            )
        write_json(folder / SPACE, {"made_by": _MADE_BY, "space": request.space.facts})
    return resumed


def _known(base: Recipe) -> dict[str, Any]:
    """What the sweeps of one folder have in common: all but what a sweep varies, and where its seeds begin."""
    plain = base.identity
    method = {key: value for key, value in plain["method"].items() if key not in ("name", *TUNED)}
    return {**{key: plain[key] for key in plain if key not in ("baseline", "name", "seed")}, "method": method}


def _in_processes(request: SweepRequest, progress: Progress) -> None:
    """The trials in `jobs` processes, which divide the cores among them; waits for all."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // request.jobs))
    recipe = request.base.model_copy(update={"observers": {}}).to_dict()  # which watch here alone
    facts = {"recipe": recipe, "space": request.space.facts, "folder": str(request.folder.resolve())}
    job = {**facts, "storage": request.storage, "trust_code": trusts_code()}
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
        _pass_on(children, progress)
    finally:
        for child in children:
            child.terminate()
            child.wait()


def _pass_on(children: list[subprocess.Popen[bytes]], progress: Progress) -> None:
    """Report the events of the processes until all have ended."""
    for line in processes.read_lines(children):
        progress.emit(from_line(line))
    for number, child in enumerate(children, start=1):
        if child.wait() != 0:
            progress.warn(f"worker {number} ended early (exit {child.returncode}); see worker-{number}.log")


def _finish(request: SweepRequest, study: Study, worker: Worker, progress: Progress) -> dict[str, Any]:
    """Choose on validation, then test the chosen setting and the baseline, and nothing else."""
    rows, space = [{**row, "test": None} for row in study.rows()], request.space
    if space.trials is None:
        wanted = {(one, seed) for one in space.settings for seed in space.seeds}
        rows = [row for row in rows if (_setting(row), row["seed"]) in wanted]
    settings = _settings(rows)
    sound = [one for one in settings if one["val"] is not None]
    if not sound:
        reason = rows[0]["reason"] if rows else "no trial was done"
        raise TrainingError(f"no setting of the sweep could be trained: {reason}")
    best = max(sound, key=lambda one: (one["val"]["mean"], -one["val_loss"]))
    chosen = _setting(best)
    progress.note(f"chosen on validation: {chosen.shown}")
    tested = {seed: worker.test(chosen, seed) for seed in space.seeds}
    baseline = {seed: worker.test(chosen, seed, baseline=True) for seed in space.seeds}
    for row in rows:
        if _setting(row) == chosen:
            row["test"] = tested[row["seed"]]
    gain = paired_gain(list(tested.values()), list(baseline.values()))
    teacher = worker.teacher_test(chosen)
    worker.forget_all_but(chosen, space.seeds)
    return {
        "recipe": request.base.name,
        "dataset": worker.data.facts,
        "metric": worker.metric,
        "space": space.facts,
        "trials": rows,
        "settings": settings,
        "best": best,
        "teacher": {"test": teacher},
        "student": {"test": interval(list(tested.values())), "by_seed": list(tested.values())},
        "baseline": {"test": interval(list(baseline.values())), "by_seed": list(baseline.values())},
        "gain": gain,
        "sentence": sentence(gain, METRIC_NAMES[worker.metric]),
        "warnings": worker.warnings,
    }


def _settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is known of each setting on validation: the mean over its seeds; None where one of them failed."""
    found: dict[Setting, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(_setting(row), []).append(row)
    result = []
    for setting, of_it in sorted(found.items(), key=lambda item: tuple(map(_sortable, item[0].facts.values()))):
        failed = [row["reason"] for row in of_it if row["reason"]]
        val = None if failed else interval([row["val"] for row in of_it])
        loss = None if failed else sum(row["val_loss"] for row in of_it) / len(of_it)
        result.append({**setting.facts, "val": val, "val_loss": loss, "reason": failed[0] if failed else None})
    return result


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, 0) if value is None else (1, value)


def _setting(row: dict[str, Any]) -> Setting:
    return Setting(row["method"], row["temperature"], row["alpha"])
