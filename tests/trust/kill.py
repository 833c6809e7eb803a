"""Commands that are killed at any moment: given again, they come to what an unbroken run comes to."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trust.jobs import JOBS, Job
from trust.judge import message_problems
from trust.place import Place, lay
from trust.watch import changes
from trust.worker import Outcome, Worker

_PATIENCE = 240.0  # seconds for a command; a sweep's processes import TensorFlow
_LEFTOVERS = (".kdcompress-part-*", ".job-*.json", "*.part")


@dataclass(frozen=True)
class Kill:
    """What came of one kill; `landed` says whether the command was still at work when it came."""

    number: int
    seed: int
    job: str
    moment: str
    landed: bool
    problems: list[str]
    lost: bool = False

    @property
    def again(self) -> str:
        """How to run it alone."""
        return f"python tests/trust/torture.py --seed {self.seed} --only-kill {self.number}"


@dataclass
class Unbroken:
    """What a job does where nobody kills it: its result, seconds, and number of changes to the file system."""

    result: Any
    seconds: float
    changes: int
    phases: list[tuple[str, int]] = field(default_factory=list)


class Killer:
    """Kills jobs; `folder` is where. Each job's place is laid once, and copied for every kill."""

    def __init__(self, worker: Worker, folder: Path, seed: int, names: tuple[str, ...] = ()) -> None:
        self._worker, self._folder, self._seed = worker, folder, seed
        self._jobs = [job for name, job in JOBS.items() if not names or name in names]
        self._unbroken: dict[str, Unbroken] = {}

    def run(self, numbers: range) -> Iterator[Kill]:
        """The kills of these numbers; a number and the seed decide all, but for how fast the machine is."""
        for number in numbers:
            rng = random.Random(f"{self._seed} {number}")
            job = self._jobs[number % len(self._jobs)]
            yield self._one(number, job, rng)

    def _one(self, number: int, job: Job, rng: random.Random) -> Kill:
        whole = self._whole(job)
        place = self._restored(job)
        before = place.watched()
        way = rng.choice(("time", "change", "change", "phase" if job.phases else "time", "term"))
        moment, strike = self._moment(way, job, whole, rng)
        done = self._run(job, place, moment, strike)
        landed = done.exit not in (0, 3)
        shown = f"{way} {moment or ''}{strike.shown if strike else ''}".strip()
        wrong = _after_signal(way, done) if landed else []
        again = self._run(job, place)
        lost = again.exit not in (0, 3)
        wrong += _after_resume(job, place, again, whole.result, changes(before, place.watched()))
        return Kill(number, self._seed, job.name, shown, landed, wrong, lost)

    def _moment(
        self, way: str, job: Job, whole: Unbroken, rng: random.Random
    ) -> tuple[dict[str, Any] | None, Strike | None]:
        if way == "change":
            return {"change": rng.randint(1, max(1, whole.changes))}, None
        if way == "phase":
            phase, steps = rng.choice(job.phases)
            return {"phase": phase, "step": rng.randint(1, steps)}, None
        number = signal.SIGTERM if way == "term" else signal.SIGKILL
        return None, Strike(rng.uniform(0.02, 0.95) * whole.seconds, number)

    def _run(
        self, job: Job, place: Place, moment: dict[str, Any] | None = None, strike: Callable[[int], None] | None = None
    ) -> Outcome:
        args, environment = list(job.args), place.environment
        return self._worker.run(args, place.work, environment, seconds=_PATIENCE, moment=moment, meanwhile=strike)

    def _whole(self, job: Job) -> Unbroken:
        """The unbroken run of a job, once."""
        if job.name not in self._unbroken:
            place = lay(self._root(job))
            if job.setup:
                self._worker.call(f"trust.jobs:{job.setup}", str(place.root), cwd=place.work, env=place.environment)
            subprocess.run(["cp", "-a", str(place.root), str(self._kept(job))], check=True)
            counted = place.root / "io" / "changes"
            done = self._run(job, place, {"count": str(counted)})
            if done.exit not in (0, 3):
                raise AssertionError(f"{job.name} fails unbroken: {done.last}")
            made = int(counted.read_text(encoding="utf-8")) if counted.exists() else 1
            self._unbroken[job.name] = Unbroken(job.result(place), done.seconds, made)
        return self._unbroken[job.name]

    def _restored(self, job: Job) -> Place:
        shutil.rmtree(self._root(job), ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._kept(job)), str(self._root(job))], check=True)
        return Place(self._root(job))

    def _root(self, job: Job) -> Path:
        return self._folder / job.name / "place"

    def _kept(self, job: Job) -> Path:
        return self._folder / job.name / "kept"


@dataclass
class Strike:
    """Sends a signal once, so many seconds after it is first asked."""

    after: float
    number: int
    begin: float = 0.0
    struck: bool = False

    def __call__(self, pid: int) -> None:
        self.begin = self.begin or time.monotonic()
        if not self.struck and time.monotonic() - self.begin >= self.after:
            self.struck = True
            os.kill(pid, self.number)

    @property
    def shown(self) -> str:
        """For a table."""
        return f"after {self.after:.2f} s"


def _after_signal(way: str, done: Outcome) -> list[str]:
    wrong = [f"leaves a process behind: {one}" for one in done.orphans]
    if way != "term":
        return [*wrong, *([f"was not killed: exit {done.exit}"] if done.exit != -signal.SIGKILL else [])]
    if done.exit != 130:
        return [*wrong, f"SIGTERM ends it with exit code {done.exit}, not 130: {done.last[:200]}"]
    if "interrupted" not in done.last:
        wrong.append(f"SIGTERM: does not say that it can go on: {done.last[:200]!r}")
    return wrong


def _after_resume(job: Job, place: Place, done: Outcome, expected: Any, touched: list[str]) -> list[str]:
    """What is wrong with the same command given again, and with what lies about then."""
    wrong = [f"OUTSIDE: {what}" for what in touched[:3]]
    if done.broken or done.exit not in (0, 3):
        return [*wrong, f"given again, ends with {done.exit} {done.broken}: {done.last[:300]}", *message_problems(done)]
    if (found := job.result(place)) != expected:
        wrong.append(f"given again, comes to another result: {_difference(expected, found)}")
    left = [path for pattern in _LEFTOVERS for path in place.root.rglob(pattern)]
    left += [path for path in (place.root / "tmp").iterdir() if path.name.startswith(("tmp", "kdcompress"))]
    return [*wrong, *(f"leaves {path.relative_to(place.root)} behind" for path in left[:3])]


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
        return ", ".join(keys[:4])
    return f"{json.dumps(expected, default=str)[:80]} became {json.dumps(found, default=str)[:80]}"
