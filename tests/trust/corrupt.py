"""Damage to every kind of input; a command may answer with an error, with the same answer, or another fingerprint."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.judge import problems
from trust.place import Place, lay
from trust.scenarios import SCENARIOS, Scenario
from trust.watch import changes
from trust.worker import Outcome, Worker

ERROR, SAME, FINGERPRINT, WRONG = "an error", "the same answer", "another fingerprint", "WRONG"
# What differs from run to run
_VARIES = {"seconds", "report", "model_card", "cached", "command", "versions", "created", "note"}


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Its first part."""
    return content[: rng.randrange(len(content))]


def flip(content: bytes, rng: random.Random) -> bytes:
    """One bit."""
    spoilt = bytearray(content)
    spoilt[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def overwrite(content: bytes, rng: random.Random) -> bytes:
    """A block of random bytes."""
    begin, size = _range(content, rng)
    return content[:begin] + rng.randbytes(size) + content[begin + size :]


def swap(content: bytes, rng: random.Random) -> bytes:
    """Two blocks in each other's place."""
    size = max(1, min(512, len(content) // 4))
    one, other = sorted((rng.randrange(len(content) // 2), rng.randrange(len(content) // 2, len(content))))
    size = min(size, other - one, len(content) - other)
    middle = content[one + size : other]
    return content[:one] + content[other : other + size] + middle + content[one : one + size] + content[other + size :]


def zero(content: bytes, rng: random.Random) -> bytes:
    """A range of zeros, as a lost page leaves it."""
    begin, size = _range(content, rng)
    return content[:begin] + bytes(size) + content[begin + size :]


def append(content: bytes, rng: random.Random) -> bytes:
    """Something behind its end."""
    return content + rng.randbytes(rng.choice((1, 7, 4096)))


def _range(content: bytes, rng: random.Random) -> tuple[int, int]:
    begin = rng.randrange(len(content))
    return begin, min(rng.choice((1, 16, 512, 4096)), len(content) - begin)


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (truncate, flip, overwrite, swap, zero, append)


@dataclass(frozen=True)
class Damage:
    """What came of one damage: `verdict` is one of the four above, `problems` says what was wrong."""

    number: int
    seed: int
    scenario: str
    file: str
    damage: str
    verdict: str
    problems: list[str]
    outcome: Outcome

    @property
    def again(self) -> str:
        """How to run it alone."""
        return f"python tests/trust/torture.py --seed {self.seed} --only-corruption {self.number}"


class Corrupter:
    """Damages files of scenarios, whose places are laid once and copied for every damage; `folder` is where."""

    def __init__(self, worker: Worker, folder: Path, seed: int, quick: bool = False) -> None:
        self._worker, self._folder, self._seed = worker, folder, seed
        self._scenarios = [one for one in SCENARIOS.values() if one.quick or not quick]
        self._answers: dict[str, Any] = {}

    def run(self, numbers: Iterator[int] | range) -> Iterator[Damage]:
        """The damages of these numbers; a number and the seed decide all."""
        for number in numbers:
            yield self._one(number)

    def _one(self, number: int) -> Damage:
        scenario = self._scenarios[number % len(self._scenarios)]
        rng = random.Random(f"{self._seed} {number}")
        self._laid(scenario)
        place = self._restored(scenario)
        path = rng.choice(scenario.targets(place))
        reference = self._answer(scenario, place, path)
        place = self._restored(scenario)
        content = path.read_bytes()
        damage = rng.choice(DAMAGES)
        while (spoilt := damage(content, rng)) == content:
            damage = rng.choice(DAMAGES)
        path.write_bytes(spoilt)
        before = place.watched()
        done = self._worker.run(scenario.arguments(place, path), place.work, place.environment)
        verdict, wrong = judged(scenario, done, reference, changes(before, place.watched()))
        if scenario.mends and verdict in (SAME, WRONG) and done.exit == 0:
            used = path.exists() and path.read_bytes() == spoilt
            verdict, wrong = (WRONG, ["uses the damaged file as it is"]) if used else (SAME, [])
        name = str(path.relative_to(place.work) if path.is_relative_to(place.work) else path.relative_to(place.root))
        return Damage(number, self._seed, scenario.name, name, damage.__name__, verdict, wrong, done)

    def _laid(self, scenario: Scenario) -> None:
        if self._kept(scenario).exists():
            return
        place = lay(self._root(scenario))
        if scenario.setup:
            setup = f"trust.scenarios:{scenario.setup}"
            self._worker.call(setup, str(place.root), cwd=place.work, env=place.environment)
        subprocess.run(["cp", "-a", str(place.root), str(self._kept(scenario))], check=True)

    def _answer(self, scenario: Scenario, place: Place, path: Path) -> Any:
        """The answer to the undamaged files, asked once for each different command."""
        arguments, known = scenario.arguments(place, path), self._answers.setdefault(scenario.name, {})
        key = " ".join(arguments)
        if key not in known:
            done = self._worker.run(arguments, place.work, place.environment)
            if done.exit not in (0, 3):
                raise AssertionError(f"scenario {scenario.name} fails undamaged: {done.last}")
            known[key] = plain(done.out)
        return known[key]

    def _restored(self, scenario: Scenario) -> Place:
        shutil.rmtree(self._root(scenario), ignore_errors=True)
        subprocess.run(["cp", "-a", str(self._kept(scenario)), str(self._root(scenario))], check=True)
        return Place(self._root(scenario))

    def _root(self, scenario: Scenario) -> Path:
        return self._folder / (scenario.setup or "run") / "place"

    def _kept(self, scenario: Scenario) -> Path:
        return self._folder / (scenario.setup or "run") / "kept"


def judged(scenario: Scenario, done: Outcome, reference: Any, changed: list[str]) -> tuple[str, list[str]]:
    """The verdict, and what is wrong."""
    if wrong := problems(done, [], changed):
        return WRONG, wrong
    if done.exit not in (0, 3):
        return ERROR, []
    answer = plain(done.out)
    if answer == reference:
        return SAME, []
    if scenario.fingerprint and scenario.fingerprint_of(answer) != scenario.fingerprint_of(reference):
        return FINGERPRINT, []
    return WRONG, ["gives another answer in silence"]


def plain(out: str) -> Any:
    """What a command answered, without what differs from run to run."""
    try:
        return _without_varying(json.loads(out))
    except ValueError:
        return out


def _without_varying(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_varying(one) for key, one in value.items() if key not in _VARIES}
    return [_without_varying(one) for one in value] if isinstance(value, list) else value
