"""From turns to the document: models, comparisons, gates, and int8 that is slower than fp32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._base import Images
from kdcompress.benchmarking._lineup import Group, Subject
from kdcompress.benchmarking._slow import heaviest, reasons
from kdcompress.benchmarking._statistics import ratio, summarise
from kdcompress.benchmarking._timing import Contender
from kdcompress.verification.sizes import model_bytes


@dataclass
class Measured:
    """One model at one setting: a fresh process's findings and the turns; `batch` is one batch of raw images."""

    group: Group
    subject: Subject
    threads: int
    batch_size: int
    batch: Images
    fresh: dict[str, float]
    inference: Contender
    end_to_end: Contender | None = None

    @property
    def is_reference(self) -> bool:
        """Whether the others of its group are compared with it."""
        return self.subject is self.group.reference

    def is_int8_of(self, other: Measured) -> bool:
        """Whether it is the int8 file of the model that `other` is the fp32 file of, and took turns with it."""
        mine, its = self.subject, other.subject
        same = (mine.model, mine.runtime) == (its.model, its.runtime)
        return same and (mine.precision, its.precision) == ("int8", "fp32") and self.beside(other)

    def beside(self, other: Measured) -> bool:
        """Whether the two took turns."""
        same = (self.threads, self.batch_size) == (other.threads, other.batch_size)
        return same and self.group is other.group


def model_entry(measured: Measured) -> dict[str, Any]:
    """What a result says of a model at a setting; times in ms, memory in 10^6 bytes."""
    subject, files = measured.subject, measured.end_to_end
    return {
        "name": subject.name,
        "path": subject.shown,
        "runtime": subject.runtime,
        "precision": subject.precision,
        "threads": measured.threads,
        "batch_size": measured.batch_size,
        **summarise(measured.inference.turns, measured.batch_size),
        **measured.fresh,
        "bytes": model_bytes(subject.path),
        "turns": len(measured.inference.turns),
        "warm_up": measured.inference.warm_up,
        "end_to_end": summarise(files.turns, measured.batch_size) if files and files.turns else None,
    }


def comparisons(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Each model against the reference it took turns with; `speedup` is reference time / its time."""
    return [
        _comparison(one, reference)
        for one in measured
        for reference in measured
        if reference.is_reference and reference.beside(one) and not one.is_reference
    ]


def _comparison(one: Measured, reference: Measured) -> dict[str, Any]:
    found = ratio(reference.inference.turns, one.inference.turns)
    files = None
    if one.end_to_end and reference.end_to_end and one.end_to_end.turns:
        whole = ratio(reference.end_to_end.turns, one.end_to_end.turns)
        files = {"speedup": whole.value, "speedup_low": whole.low, "speedup_high": whole.high}
    return {
        "student": one.subject.name,
        "teacher": reference.subject.name,
        "runtime": one.subject.runtime,
        "teacher_runtime": reference.subject.runtime,
        "precision": one.subject.precision,
        "teacher_precision": reference.subject.precision,
        "threads": one.threads,
        "batch_size": one.batch_size,
        "speedup": found.value,
        "speedup_low": found.low,
        "speedup_high": found.high,
        "distinguishable": found.distinguishable,
        "end_to_end": files,
    }


def gates(
    pairs: Sequence[dict[str, Any]], measured: Sequence[Measured], max_slowdown: float | None
) -> list[dict[str, Any]]:
    """Whether each student keeps --max-slowdown, a limit on student time / teacher time.

    It fails where the whole 95 % interval lies above the limit, so that noise alone seldom fails it, and where nothing
    is known: without an interval, or without a teacher that may be timed.
    """
    if max_slowdown is None:
        return []
    alone = [_without_teacher(one) for one in measured if one.group.reference is None]
    return [_judged(pair, max_slowdown) for pair in (*pairs, *alone)]


def _without_teacher(one: Measured) -> dict[str, Any]:
    subject = one.subject
    facts = {"student": subject.name, "teacher": None, "runtime": subject.runtime, "precision": subject.precision}
    return {**facts, "threads": one.threads, "batch_size": one.batch_size, "speedup": None, "speedup_high": None}


def _judged(pair: dict[str, Any], limit: float) -> dict[str, Any]:
    low = 1 / pair["speedup_high"] if pair["speedup_high"] else None
    return {
        "name": "max_slowdown",
        "limit": limit,
        "value": 1 / pair["speedup"] if pair["speedup"] else None,
        "low": low,
        "passed": low is not None and low <= limit,
        **{key: pair[key] for key in ("student", "teacher", "runtime", "precision", "threads", "batch_size")},
    }


def unsettled(measured: Sequence[Measured]) -> str | None:
    """A sentence on models whose times did not settle in their warm-up, or None."""
    names = dict.fromkeys(one.subject.label for one in measured if not one.inference.warm_up["settled"])
    if not names:
        return None
    return f"the times of {', '.join(names)} did not settle during warm-up: the machine is not steady"


def slower_int8(measured: Sequence[Measured], instruction_sets: dict[str, bool]) -> list[dict[str, Any]]:
    """Each int8 model that is slower than the fp32 one beyond doubt: by how much, why, and its heaviest operators."""
    found = []
    for small in measured:
        for plain in filter(small.is_int8_of, measured):
            times = ratio(small.inference.turns, plain.inference.turns)
            if times.value > 1 and times.distinguishable:
                found.append(_explained(small, times.value, instruction_sets))
    return found


def _explained(small: Measured, slowdown: float, instruction_sets: dict[str, bool]) -> dict[str, Any]:
    subject = small.subject
    operators = make_runtime(subject.runtime).operators(subject.path, small.threads, small.batch)
    p50 = summarise(small.inference.turns, small.batch_size)["p50_ms"]
    return {
        "name": subject.model,
        "runtime": subject.runtime,
        "threads": small.threads,
        "batch_size": small.batch_size,
        "slowdown": slowdown,
        "reasons": reasons(p50, instruction_sets, operators),
        "operators": heaviest(operators),
    }
