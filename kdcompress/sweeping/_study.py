"""The Optuna study of a sweep: trials that several processes, on several machines, may work on at once."""

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

_BEAT_S, _GRACE_S = 5, 20  # a running trial says that it lives; one that has not for so long was killed
_ASKED, _BEGUN, _ROWS = "asked", "begun", "rows"  # attributes of a trial
Rows = list[dict[str, Any]]
# What a worker does: the results of a setting with each of some seeds; a row with a "reason" is a failure
Work = Callable[[Setting, tuple[int, ...]], Rows]
Point = tuple[str, float | None, float | None, int]


class _Failed(Exception):
    """A trial that diverged."""


class Study:
    """Hands out a grid, a setting and a seed a trial, or settings that TPE proposes, each with all seeds.

    A trial's result is in its attributes, so that every process that shares the storage knows it. `recipe` is the
    digest of what all trials have in common: sweeps of other recipes may lie in the same storage. `lock` keeps
    processes of one folder from filling the queue twice. Errors: UsageError, RunError for a storage.
    """

    def __init__(self, url: str, recipe: str, space: Space, lock: FileLock, worker: int = 0) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.space, self.shown, self._lock, self._worker = space, _shown(url), lock, worker
        self._wanted = [
            (one.method, one.temperature, one.alpha, seed) for one in space.settings for seed in space.seeds
        ]
        ranges = {key: value for key, value in space.facts.items() if key != "trials"}
        kind = "grid" if space.trials is None else f"tpe {json_digest(ranges)[:8]}"
        name = f"kdcompress {recipe[:12]} {kind}"
        try:
            with lock:  # two processes that make the tables of a new file get in each other's way
                storage = optuna.storages.RDBStorage(url, heartbeat_interval=_BEAT_S, grace_period=_GRACE_S)
                self.study = optuna.create_study(
                    storage=storage, study_name=name, direction="maximize", load_if_exists=True
                )
        except ImportError as exc:
            raise UsageError(f"storage {self.shown} needs a package that is not installed ({exc})") from exc
        except Exception as exc:
            said = one_line(exc).partition(" (Background on this error")[0]
            raise RunError(f"storage {self.shown} does not answer ({said})") from exc

    def work(self, work: Work, waiting: Callable[[int], None]) -> None:
        """Do trials until none is left. `waiting` hears how many others are at, once there is nothing else to do.

        Those are waited for, since they may be killed, and are then done here.
        """
        told = False
        while True:
            self._fail_stale()
            if self._more():
                self.study.sampler = self._sampler()
                self.study.optimize(lambda trial: self._objective(trial, work), n_trials=1, catch=(_Failed,))
            elif others := len(self._at()):
                if not told:
                    waiting(others)
                told = True
                time.sleep(1)
            else:
                return

    def _fail_stale(self) -> None:
        """Give up the trials of processes that were killed."""
        import optuna

        optuna.storages.fail_stale_trials(self.study)
        # One that was killed before its first sign of life is never stale to Optuna
        for trial in self._trials("RUNNING"):
            age = (datetime.datetime.now() - trial.datetime_start).total_seconds()
            if _BEGUN not in trial.user_attrs and age > _GRACE_S:
                with contextlib.suppress(ValueError):  # it began after all, or another process was quicker
                    self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def _at(self) -> list[Any]:
        """The trials of this space that processes are at."""
        running = self._trials("RUNNING")
        return running if self.space.trials is not None else [one for one in running if _asked(one) in self._wanted]

    def rows(self) -> Rows:
        """The results of all trials that ended, one for each setting and seed, in the order in which they ended."""
        found: dict[Point, dict[str, Any]] = {}
        for trial in self._trials("COMPLETE", "FAIL"):
            for row in _checked(trial.user_attrs.get(_ROWS, []), self.shown):
                found.setdefault(_point_of(row), row)
        return list(found.values())

    def _sampler(self) -> Any:
        """TPE, seeded by what is there already: neither a process nor a sweep that goes on repeats proposals."""
        import optuna

        seed = [self.space.seeds[0], self._worker, len(self.study.get_trials(deepcopy=False))]
        number = int(np.random.SeedSequence(seed).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

    def _more(self) -> bool:
        """Whether there is a trial to do; of a grid, the next one is put into the queue, and no more than that."""
        with self._lock:
            if self.space.trials is not None:
                ended = [trial for trial in self._trials("COMPLETE", "FAIL") if _ROWS in trial.user_attrs]
                return len(ended) + len(self._trials("RUNNING")) < self.space.trials
            queued = {_asked(trial) for trial in self._trials("WAITING")}
            known = queued | {_asked(trial) for trial in self._trials("RUNNING")} | self._done()
            if point := next((one for one in self._wanted if one not in known), None):
                asked = dict(zip(_NAMES, point, strict=True))
                tuned = {name: value for name, value in asked.items() if value is not None}
                self.study.enqueue_trial(tuned, user_attrs={_ASKED: asked})
                return True
            return bool(queued & set(self._wanted))

    def _done(self) -> set[Point]:
        return {_point_of(row) for row in self.rows()}

    def _objective(self, trial: Any, work: Work) -> float:
        import optuna

        trial.set_user_attr(_BEGUN, True)
        if self.space.trials is None:
            if _ASKED not in trial.user_attrs or _asked(trial) in self._done():
                raise optuna.TrialPruned  # another process took the last one between our look and our reach
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
        """What a trial of the grid is; its distributions are the widest there are, so that a grid may grow."""
        asked = trial.user_attrs[_ASKED]
        method = trial.suggest_categorical("method", registry.choices("methods"))
        if asked["temperature"] is not None:
            trial.suggest_float("temperature", 0.0, 1e9)
        if asked["alpha"] is not None:
            trial.suggest_float("alpha", 0.0, 1.0)
        seed = trial.suggest_int("seed", 0, 2**32 - 1)
        return Setting(method, asked["temperature"], asked["alpha"]), (seed,)

    def _proposed(self, trial: Any) -> Setting:
        space = self.space
        method = trial.suggest_categorical("method", list(space.methods))
        has = registry.load("methods", method).model_fields
        temperature = alpha = None
        if "temperature" in has:
            temperature = trial.suggest_float("temperature", min(space.temperatures), max(space.temperatures), log=True)
        if "alpha" in has:
            alpha = trial.suggest_float("alpha", min(space.alphas), max(space.alphas))
        return Setting(method, temperature, alpha)

    def _trials(self, *states: str) -> list[Any]:
        import optuna

        wanted = [optuna.trial.TrialState[state] for state in states]
        return list(self.study.get_trials(deepcopy=False, states=wanted))


_NAMES = ("method", "temperature", "alpha", "seed")


class _Row(BaseModel):
    """What a worker tells of a student."""

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


def _checked(rows: Any, storage: str) -> Rows:
    """The rows of a trial as a storage gives them; RunError if somebody else wrote them."""
    try:
        for row in rows:
            _Row.model_validate(row)
    except (ValidationError, TypeError) as exc:
        raise RunError(f"storage {storage} holds a trial that is none of kdcompress ({one_line(exc, 120)})") from exc
    found: Rows = rows
    return found


def _point_of(row: dict[str, Any]) -> Point:
    return row["method"], row["temperature"], row["alpha"], row["seed"]


def _asked(trial: Any) -> Point | None:
    asked = trial.user_attrs.get(_ASKED)
    return _point_of(asked) if asked else None


def _shown(url: str) -> str:
    """A storage's URL without its password."""
    from sqlalchemy.engine import make_url

    try:
        return str(make_url(url).render_as_string(hide_password=True))
    except Exception as exc:
        raise UsageError(f"--storage must be a database URL such as sqlite:///sweep.db, got {url!r}") from exc
