"""Optuna study of a sweep, whose trials several processes, also on several machines, can share."""

from __future__ import annotations

import contextlib
import datetime
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kdcompress import registry
from kdcompress.digests import json_digest
from kdcompress.errors import RunError, UsageError, one_line
from kdcompress.sweeping._space import Setting, Space

_HEARTBEAT_S, _GRACE_S = 5, 20  # a running trial without a heartbeat for the grace period was killed
_POINT, _STARTED, _ROWS = "asked", "begun", "rows"  # user attributes of a trial
Rows = list[dict[str, Any]]
Work = Callable[[Setting, tuple[int, ...]], Rows]  # trains a setting with each seed; a row with a "reason" has failed
Point = tuple[str, float | None, float | None, int]


class _Failed(Exception):
    """A trial that diverged."""


class Study:
    """Distributes the trials of a sweep: one setting and seed of the grid each, or one setting from TPE with all seeds.

    Results are user attributes of the trials, so that every process that shares the storage has them.

    Args:
        url: URL of the storage, for SQLAlchemy.
        recipe: Digest of what all trials share; a storage may hold sweeps of several recipes.
        space: Search space.
        lock: Lock of the sweep's folder, which keeps processes from queueing a trial twice.
        worker: Number of this process.

    Raises:
        UsageError: The URL is invalid, or its database driver is not installed.
        RunError: The storage does not respond.
    """

    def __init__(self, url: str, recipe: str, space: Space, lock: FileLock, worker: int = 0) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.space, self.shown, self._lock, self._worker = space, _without_password(url), lock, worker
        self._grid = [
            (setting.method, setting.temperature, setting.alpha, seed)
            for setting in space.settings
            for seed in space.seeds
        ]
        ranges = {key: value for key, value in space.to_dict().items() if key != "trials"}
        kind = "grid" if space.trials is None else f"tpe {json_digest(ranges)[:8]}"
        name = f"kdcompress {recipe[:12]} {kind}"
        try:
            with lock:  # concurrent creation of the tables of a new file fails
                storage = optuna.storages.RDBStorage(url, heartbeat_interval=_HEARTBEAT_S, grace_period=_GRACE_S)
                self.study = optuna.create_study(
                    storage=storage, study_name=name, direction="maximize", load_if_exists=True
                )
        except ImportError as exc:
            raise UsageError(f"storage {self.shown} needs a package that is not installed ({exc})") from exc
        except Exception as exc:
            reason = one_line(exc).partition(" (Background on this error")[0]
            raise RunError(f"storage {self.shown} does not respond ({reason})") from exc

    def work(self, work: Work, waiting: Callable[[int], None]) -> None:
        """Run trials until none is left, also those that other processes began and did not finish.

        Args:
            work: Trains the students of a trial.
            waiting: Called once with the number of trials that other processes are running, when no others are left.
        """
        notified = False
        while True:
            self._fail_stale()
            if self._has_next():
                self.study.sampler = self._sampler()
                self.study.optimize(lambda trial: self._objective(trial, work), n_trials=1, catch=(_Failed,))
            elif others := len(self._running()):
                if not notified:
                    waiting(others)
                notified = True
                time.sleep(1)
            else:
                return

    def _fail_stale(self) -> None:
        """Mark the trials of killed processes as failed."""
        import optuna

        optuna.storages.fail_stale_trials(self.study)
        # Optuna never considers a trial stale that was killed before its first heartbeat
        for trial in self._trials("RUNNING"):
            age = (datetime.datetime.now() - trial.datetime_start).total_seconds()
            if _STARTED not in trial.user_attrs and age > _GRACE_S:
                with contextlib.suppress(ValueError):  # it has started after all, or another process was faster
                    self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def _running(self) -> list[Any]:
        running = self._trials("RUNNING")
        return running if self.space.trials is not None else [trial for trial in running if _point(trial) in self._grid]

    def rows(self) -> Rows:
        """Return the results of all completed trials, one row for each setting and seed, in order of completion."""
        rows: dict[Point, dict[str, Any]] = {}
        for trial in self._trials("COMPLETE", "FAIL"):
            for row in _validated(trial.user_attrs.get(_ROWS, []), self.shown):
                rows.setdefault(_point_of(row), row)
        return list(rows.values())

    def _sampler(self) -> Any:
        """Create a TPE sampler whose seed depends on process and trials, so that no proposal is repeated."""
        import optuna

        seed = [self.space.seeds[0], self._worker, len(self.study.get_trials(deepcopy=False))]
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

    def _has_next(self) -> bool:
        """Return whether there is a trial to run; of a grid, the next one only is queued."""
        with self._lock:
            if self.space.trials is not None:
                ended = [trial for trial in self._trials("COMPLETE", "FAIL") if _ROWS in trial.user_attrs]
                return len(ended) + len(self._trials("RUNNING")) < self.space.trials
            queued = {_point(trial) for trial in self._trials("WAITING")}
            known = queued | {_point(trial) for trial in self._trials("RUNNING")} | self._completed()
            if point := next((point for point in self._grid if point not in known), None):
                values = dict(zip(_NAMES, point, strict=True))
                params = {name: value for name, value in values.items() if value is not None}
                self.study.enqueue_trial(params, user_attrs={_POINT: values})
                return True
            return bool(queued & set(self._grid))

    def _completed(self) -> set[Point]:
        return {_point_of(row) for row in self.rows()}

    def _objective(self, trial: Any, work: Work) -> float:
        import optuna

        trial.set_user_attr(_STARTED, True)
        if self.space.trials is None:
            if _POINT not in trial.user_attrs or _point(trial) in self._completed():
                raise optuna.TrialPruned  # another process has taken the last trial in the meantime
            setting, seeds = self._queued(trial)
        else:
            setting, seeds = self._proposed(trial), self.space.seeds
        rows = work(setting, seeds)
        trial.set_user_attr(_ROWS, rows)
        if reason := next((row["reason"] for row in rows if row["reason"]), None):
            raise _Failed(reason)
        return float(sum(row["val"] for row in rows) / len(rows))

    @staticmethod
    def _queued(trial: Any) -> tuple[Setting, tuple[int, ...]]:
        """Read a trial of the grid; its distributions are as wide as possible, so that the grid can be extended."""
        values = trial.user_attrs[_POINT]
        method = trial.suggest_categorical("method", registry.choices("methods"))
        if values["temperature"] is not None:
            trial.suggest_float("temperature", 0.0, 1e9)
        if values["alpha"] is not None:
            trial.suggest_float("alpha", 0.0, 1.0)
        seed = trial.suggest_int("seed", 0, 2**32 - 1)
        return Setting(method, values["temperature"], values["alpha"]), (seed,)

    def _proposed(self, trial: Any) -> Setting:
        space = self.space
        method = trial.suggest_categorical("method", list(space.methods))
        fields = registry.load("methods", method).model_fields
        temperature = alpha = None
        if "temperature" in fields:
            temperature = trial.suggest_float("temperature", min(space.temperatures), max(space.temperatures), log=True)
        if "alpha" in fields:
            alpha = trial.suggest_float("alpha", min(space.alphas), max(space.alphas))
        return Setting(method, temperature, alpha)

    def _trials(self, *states: str) -> list[Any]:
        import optuna

        selected = [optuna.trial.TrialState[state] for state in states]
        return list(self.study.get_trials(deepcopy=False, states=selected))


_NAMES = ("method", "temperature", "alpha", "seed")


class _Row(BaseModel):
    """Result of one student."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    method: str
    temperature: float | None
    alpha: float | None
    seed: int = Field(ge=0)
    val: float | None
    val_loss: float | None
    best_epoch: int | None
    seconds: float
    reason: str | None


def _validated(rows: Any, storage: str) -> Rows:
    """Validate the rows of a trial, since a storage is untrusted input."""
    try:
        for row in rows:
            _Row.model_validate(row)
    except (ValidationError, TypeError) as exc:
        raise RunError(f"storage {storage} holds a trial that is none of kdcompress ({one_line(exc, 120)})") from exc
    validated: Rows = rows
    return validated


def _point_of(row: dict[str, Any]) -> Point:
    return row["method"], row["temperature"], row["alpha"], row["seed"]


def _point(trial: Any) -> Point | None:
    values = trial.user_attrs.get(_POINT)
    return _point_of(values) if values else None


def _without_password(url: str) -> str:
    from sqlalchemy.engine import make_url

    try:
        return str(make_url(url).render_as_string(hide_password=True))
    except Exception as exc:
        raise UsageError(f"--storage must be a database URL such as sqlite:///sweep.db, got {url!r}") from exc
