"""Queue of a sweep: trials of an Optuna study, each taken by one process of all machines at a time."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from kdcompress.errors import RunError, one_line
from kdcompress.sweeping._storage import HEARTBEAT_S, Storage, machine_name

_POINT, _STARTED, _ROWS = "asked", "begun", "rows"  # user attributes of a trial
POINT = ("method", "temperature", "alpha", "seed", "role")  # what makes a point; a role has what is tested, only
_MACHINES = "machines"  # user attribute of a study
_POLL_S = 1.0
Rows = list[dict[str, Any]]
Point = Mapping[str, Any]
Work = Callable[[Any], Rows]
Ask = Callable[[list[Any]], Any | int]


class Queue:
    """Trials of an Optuna study whose results are user attributes, so that every process that shares the storage has
    them.

    A process takes a trial under the lock of the storage, and the trial is running and has its first heartbeat when
    the lock is released. So one that is running without was left by a killed process, and no other clock is read than
    that of the database, which compares heartbeats.

    Args:
        storage: The database.
        name: Name of the study.
        row: What a row of a result is, since a storage is untrusted input.
        value: Which of its entries is the value of the trial.

    Raises:
        RunError: The storage does not respond, or must not be used from this machine.
    """

    def __init__(self, storage: Storage, name: str, row: type[BaseModel], value: str) -> None:
        import optuna

        self.storage, self._row, self._value = storage, row, value
        with storage.errors(), storage.lock():
            self.study = optuna.create_study(
                storage=storage.rdb, study_name=name, direction="maximize", load_if_exists=True
            )
            machines = [str(one) for one in self.study.user_attrs.get(_MACHINES, [])]
            storage.check_machine(machines)
            if machine_name() not in machines:
                self.study.set_user_attr(_MACHINES, [*machines, machine_name()])

    def agree(self, key: str, value: str) -> bool:
        """Return whether all processes say the same of something; the first one's word counts.

        Args:
            key: What is told.
            value: What this process says.
        """
        with self.storage.errors(), self.storage.lock():
            known = self.study.user_attrs
            if key not in known:
                self.study.set_user_attr(key, value)
            return bool(known.get(key, value) == value)

    def work(self, ask: Ask, work: Work, waiting: Callable[[int], None]) -> None:
        """Work on trials until none is left, also on those that other processes began and did not finish.

        Args:
            ask: Takes a trial under the lock, given those there are; if there is none to take, it returns the number
                that others are running.
            work: Does a trial; a row whose value is None has failed.
            waiting: Called once with the number of trials of other processes, when no others are left.
        """
        notified = False
        while True:
            with self.storage.errors():
                taken = self.storage.patiently(lambda: self._take(ask))
            if not isinstance(taken, int):
                self._do(taken, work)
            elif taken:
                if not notified:
                    waiting(taken)
                notified = True
                time.sleep(_POLL_S)
            else:
                return

    def _take(self, ask: Ask) -> Any | int:
        with self.storage.lock():
            self._fail_stale()
            trial = ask(self.trials())
            if not isinstance(trial, int):
                self.storage.rdb.record_heartbeat(trial._trial_id)
                trial.set_user_attr(_STARTED, True)
            return trial

    def _fail_stale(self) -> None:
        """Mark the trials of killed processes as failed; the caller holds the lock."""
        import optuna

        optuna.storages.fail_stale_trials(self.study)
        for trial in self.trials("RUNNING"):
            if _STARTED not in trial.user_attrs:
                with contextlib.suppress(ValueError):  # it has ended
                    self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def take_point(
        self, points: Sequence[Point], trials: Sequence[Any], distributions: Mapping[str, Any] | None = None
    ) -> Any | int:
        """Take the first point that is neither done nor running, those last whose processes died.

        Args:
            points: JSON values by name, in order of preference.
            trials: All trials.
            distributions: Optuna's distributions of those values that are parameters.

        Returns:
            The trial; if all are done or running, the number that are running.
        """
        import optuna

        running, died = _points(trials, "RUNNING"), Counter(_points(trials, "FAIL"))
        wanted = {_key(point): dict(point) for point in points}
        left = wanted.keys() - {*running, *(_key(row) for trial in trials for row in self._rows(trial))}
        if not left:
            return sum(key in wanted for key in running)
        point = min((wanted[key] for key in wanted if key in left), key=lambda point: died[_key(point)])
        known = {name: kind for name, kind in (distributions or {}).items() if point[name] is not None}
        waiting = optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING, user_attrs={_POINT: point},
            params={name: point[name] for name in known}, distributions=known,
        )  # fmt: skip
        self.study.add_trial(waiting)
        trial = self.study.ask()
        while point_of(trial) != point:  # left by a process that was killed as it queued it
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            trial = self.study.ask()
        return trial

    def _do(self, trial: Any, work: Work) -> None:
        import optuna

        with self._heartbeats(trial):
            try:
                rows = work(trial)
            except BaseException:
                with contextlib.suppress(Exception):  # the error of the trial is the one to tell
                    self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
                raise
            values = [row[self._value] for row in rows]
            value = None if None in values else float(sum(values) / len(values))
            with self.storage.errors():
                self.storage.patiently(lambda: self._finish(trial, rows, value))

    def _finish(self, trial: Any, rows: Rows, value: float | None) -> None:
        import optuna

        state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
        # Where heartbeats failed for too long, the trial is somebody else's by now, or done
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError, ValueError):
            trial.set_user_attr(_ROWS, rows)
            self.study.tell(trial, value, state=state)

    @contextlib.contextmanager
    def _heartbeats(self, trial: Any) -> Iterator[None]:
        """Send heartbeats of a trial, also behind an interruption of the database."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_S):
                with contextlib.suppress(Exception):  # the next one may arrive
                    self.storage.rdb.record_heartbeat(trial._trial_id)
            self.storage.rdb.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def rows(self) -> Rows:
        """Return the rows of all ended trials, each trial's together, in order of their beginning."""
        return [row for trial in self.trials() for row in self._rows(trial)]

    def trials(self, *states: str) -> list[Any]:
        """Return trials, in order of their beginning.

        Args:
            *states: Names of Optuna's states; all by default.
        """
        import optuna

        selected = [optuna.trial.TrialState[state] for state in states] or None
        return list(self.study.get_trials(deepcopy=False, states=selected))

    def _rows(self, trial: Any) -> Rows:
        try:
            rows: Rows = trial.user_attrs[_ROWS] if is_done(trial) else []
            for row in rows:
                self._row.model_validate(row)
        except (ValidationError, TypeError) as exc:
            shown = self.storage.shown
            raise RunError(f"storage {shown} holds a trial that is none of kdcompress ({one_line(exc, 120)})") from exc
        return rows


def is_done(trial: Any) -> bool:
    """Return whether a trial has ended with a result, also a bad one.

    Args:
        trial: The frozen state of a trial.
    """
    return trial.state.is_finished() and _ROWS in trial.user_attrs


def point_of(trial: Any) -> dict[str, Any] | None:
    """Return the point of a trial; None if it has none.

    Args:
        trial: A trial, or its frozen state.
    """
    point = trial.user_attrs.get(_POINT)
    return point if isinstance(point, dict) else None


def _points(trials: Sequence[Any], state: str) -> list[str]:
    return [_key(point) for trial in trials if trial.state.name == state and (point := point_of(trial))]


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps([values.get(name) for name in POINT])
