"""Optuna study of a sweep, whose trials several processes, also on several machines, can share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kdcompress import registry
from kdcompress.digests import json_digest
from kdcompress.sweeping._queue import Queue, Rows, is_done, point_of
from kdcompress.sweeping._space import Setting, Space
from kdcompress.sweeping._storage import Storage, machine_name

ROLES = ("baseline", "teacher", "student")  # what is tested; last what may have to be trained again
_MACHINE = "machine"  # of the process that tested a model
_MAX_NAME = 64
Work = Callable[[Setting, tuple[int, ...]], Rows]  # trains a setting with each seed; a row with a "reason" has failed
Test = Callable[[Setting, int, str], float]  # tests the student, the baseline or the teacher of a setting and seed


class _Result(BaseModel):
    """Result of one model."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    method: str
    temperature: float | None
    alpha: float | None
    seed: int = Field(ge=0)


class _Row(_Result):
    """Result of one student on validation."""

    val: float | None
    val_loss: float | None
    best_epoch: int | None
    seconds: float
    reason: str | None


class _Test(_Result):
    """Result of one model on test."""

    role: str
    test: float


class Study:
    """Distributes the trials of a sweep: one setting and seed of the grid each, or one setting from TPE with all seeds.

    What is tested is distributed likewise, so that every machine has the same result.

    Attributes:
        shown: The URL of the storage without credentials.
        shared: Whether other machines reach the storage.

    Args:
        storage: The database.
        recipe: Digest of what all trials share; a storage may hold sweeps of several recipes.
        space: Search space.
        worker: Number of this process.

    Raises:
        RunError: The storage does not respond, or must not be used from this machine.
    """

    def __init__(self, storage: Storage, recipe: str, space: Space, worker: int = 0) -> None:
        self.space, self.shown, self.shared, self._worker = space, storage.shown, storage.shared, worker
        ranges = {key: value for key, value in space.to_dict().items() if key != "trials"}
        kind = "grid" if space.trials is None else f"tpe {json_digest(ranges)[:8]}"
        name = f"kdcompress {recipe[:12]}"
        self._trials = Queue(storage, f"{name} {kind}", _Row, "val")
        self._tests = Queue(storage, f"{name} test", _Test, "test")

    def agree(self, key: str, value: str) -> bool:
        """Return whether all processes of all machines say the same of something.

        Args:
            key: What is told.
            value: What this process says.
        """
        return self._tests.agree(key, value)

    def work(self, work: Work, waiting: Callable[[int], None]) -> None:
        """Run trials until none is left, also those that other processes began and did not finish.

        Args:
            work: Trains the students of a trial.
            waiting: Called once with the number of trials that other processes are running, when no others are left.
        """
        grid = [
            {**setting.to_dict(), "seed": seed}
            for setting in (self.space.settings if self.space.trials is None else [])
            for seed in self.space.seeds
        ]
        kinds, queue = _distributions(), self._trials
        if grid:
            queue.work(
                lambda trials: queue.take_point(grid, trials, kinds), lambda trial: work(*_queued(trial)), waiting
            )
        else:
            queue.work(self._propose, lambda trial: work(self._proposed(trial), self.space.seeds), waiting)

    def rows(self) -> Rows:
        """Return the results of all completed trials, one row for each setting and seed, as they began."""
        rows: dict[tuple[Setting, int], dict[str, Any]] = {}
        with self._trials.storage.errors():
            for row in self._trials.rows():
                rows.setdefault((setting_of(row), row["seed"]), row)
        return list(rows.values())

    def test(self, setting: Setting, test: Test, near: Callable[[Setting, int, str], bool]) -> dict[str, list[float]]:
        """Test the chosen setting: its students, its baselines and its teacher, each in one process of all machines.

        Args:
            setting: The chosen setting.
            test: Computes a metric on test.
            near: Whether the model is on this machine, which takes it first.

        Returns:
            Metrics by role, in order of the seeds.
        """
        queue = self._tests
        seeds = {role: self.space.seeds[: 1 if role == "teacher" else None] for role in ROLES}
        points = [{**setting.to_dict(), "seed": seed, "role": role} for role in ROLES for seed in seeds[role]]
        points.sort(key=lambda point: not near(setting, point["seed"], point["role"]))

        def tested(trial: Any) -> Rows:
            point = point_of(trial) or {}
            value = test(setting, point["seed"], point["role"])
            return [{**point, "test": value, _MACHINE: machine_name()}]

        queue.work(lambda trials: queue.take_point(points, trials), tested, lambda others: None)
        with queue.storage.errors():
            found = {(setting_of(row), row["seed"], row["role"]): row["test"] for row in queue.rows()}
        return {role: [found[setting, seed, role] for seed in seeds[role]] for role in ROLES}

    def whereabouts(self, setting: Setting) -> dict[int, str]:
        """Return the machine on which each student of the chosen setting was tested, and so lies, by seed.

        Args:
            setting: The chosen setting.
        """
        with self._tests.storage.errors():
            rows = [row for row in self._tests.rows() if setting_of(row) == setting and row["role"] == "student"]
        names = {row["seed"]: str(row[_MACHINE])[:_MAX_NAME] for row in rows if _MACHINE in row}
        return {seed: name for seed, name in names.items() if name.isprintable()}

    def _propose(self, trials: list[Any]) -> Any | int:
        """Let TPE begin a trial, unless there are enough."""
        running = sum(trial.state.name == "RUNNING" for trial in trials)
        if sum(map(is_done, trials)) + running >= (self.space.trials or 0):
            return running
        self._trials.study.sampler = self._sampler(len(trials))
        return self._trials.study.ask()

    def _sampler(self, begun: int) -> Any:
        """Create a TPE sampler whose seed depends on process and trials, so that no proposal is repeated."""
        import optuna

        number = int(np.random.SeedSequence([self.space.seeds[0], self._worker, begun]).generate_state(1)[0])
        return optuna.samplers.TPESampler(seed=number, multivariate=True, constant_liar=True)

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


def _distributions() -> dict[str, Any]:
    """Return the distributions of the grid's parameters, as wide as possible, so that the grid can be extended.

    The method is none of them: to Optuna a later version with more methods would be another space.
    """
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "temperature": FloatDistribution(0.0, 1e9),
        "alpha": FloatDistribution(0.0, 1.0),
        "seed": IntDistribution(0, 2**32 - 1),
    }


def _queued(trial: Any) -> tuple[Setting, tuple[int, ...]]:
    point = point_of(trial) or {}
    return setting_of(point), (point["seed"],)


def setting_of(row: dict[str, Any]) -> Setting:
    """Return the setting of a row."""
    return Setting(row["method"], row["temperature"], row["alpha"])
