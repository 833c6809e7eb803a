"""What can be shipped, as points of cost and quality, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.reporting._facts import Facts


@dataclass(frozen=True)
class Point:
    """A model as it runs: its cost (ms a call, or bytes), its metric, and whether its parity check passed."""

    name: str
    runtime: str
    cost: float
    quality: float
    size: int | None
    passed: bool

    @property
    def role(self) -> str:
        """Whether it is the teacher or a student."""
        return "teacher" if self.name == "teacher" else "student"


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The (cost, quality) points that no other is as good as in both and better in one, by their places."""

    def beaten(one: tuple[float, float]) -> bool:
        return any(cost <= one[0] and quality >= one[1] and (cost, quality) != one for cost, quality in points)

    return [place for place, one in enumerate(points) if not beaten(one)]


def measured(facts: Facts) -> list[Point]:
    """Every model that bench timed and whose metric is known, at batch 1 and the fewest threads; cost is p50_ms."""
    found = []
    for timed in alone(facts.bench or {"models": []}):
        entry = _export(facts, timed["path"])
        quality = _teachers(facts) if timed["name"] == "teacher" else _quality(facts, entry)
        if quality is not None:
            passed = entry is None or entry["passed"]
            name = f"{timed['name']} {timed['precision'] or ''}".strip()
            found.append(Point(name, timed["runtime"], timed["p50_ms"], quality, timed.get("bytes"), passed))
    return found


def sized(facts: Facts) -> list[Point]:
    """Every export, and the teacher's file, by its bytes."""
    found = []
    teacher, bytes_of_teacher = _teachers(facts), facts.costs("teacher").get("bytes")
    if teacher is not None and bytes_of_teacher:
        found.append(Point("teacher", "keras", bytes_of_teacher, teacher, bytes_of_teacher, True))
    for entry in facts.exports:
        quality = _quality(facts, entry)
        if quality is not None:
            name = entry["path"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
            found.append(Point(name, entry["format"], entry["bytes"], quality, entry["bytes"], entry["passed"]))
    return found


def alone(bench: dict[str, Any]) -> list[dict[str, Any]]:
    """What bench timed of one image at a time on as few threads as it tried."""
    single = [one for one in bench["models"] if one["batch_size"] == 1]
    fewest = min((one["threads"] for one in single), default=1)
    return [one for one in single if one["threads"] == fewest]


def _export(facts: Facts, path: str) -> dict[str, Any] | None:
    return next((entry for entry in facts.exports if entry["path"] == path), None)


def _teachers(facts: Facts) -> float | None:
    return facts.measures["teacher"][facts.metric] if facts.measures else None


def _quality(facts: Facts, entry: dict[str, Any] | None) -> float | None:
    if entry is None or not entry["metrics"]:
        return None
    value: float | None = entry["metrics"].get(facts.metric)
    return value
