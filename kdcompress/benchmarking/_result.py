"""Result of a benchmark: entries of models, comparisons, gates, and int8 models that are slower than fp32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._base import Images
from kdcompress.benchmarking._slow import likely_reasons, slowest_operators
from kdcompress.benchmarking._statistics import ratio, summarise
from kdcompress.benchmarking._subjects import Group, Subject
from kdcompress.benchmarking._timing import Contender


@dataclass
class Measured:
    """Measurements of one model at one setting.

    Attributes:
        group: Models that it takes turns with.
        subject: The model.
        threads: Number of threads.
        batch_size: Batch size.
        batch: One batch of raw images.
        fresh: Result of `measure_fresh`.
        inference: Turns of inference.
        end_to_end: Turns with reading and decoding of image files.
    """

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
        """Whether it is the reference of its group."""
        return self.subject is self.group.reference

    def is_int8_of(self, other: Measured) -> bool:
        """Return whether `other` is the fp32 file of the same model, and took turns with this int8 file."""
        own, fp32 = self.subject, other.subject
        same = (own.model, own.runtime) == (fp32.model, fp32.runtime)
        return same and (own.precision, fp32.precision) == ("int8", "fp32") and self.took_turns_with(other)

    def took_turns_with(self, other: Measured) -> bool:
        """Return whether both are of the same group and setting."""
        same = (self.threads, self.batch_size) == (other.threads, other.batch_size)
        return same and self.group is other.group


def model_entry(measured: Measured) -> dict[str, Any]:
    """Create the entry of a model at a setting.

    Args:
        measured: Measurements of the model.

    Returns:
        An entry of `models` in `bench.json`; times in ms, memory in 10^6 bytes.
    """
    subject, files = measured.subject, measured.end_to_end
    return {
        "name": subject.name,
        "path": subject.shown_path,
        "runtime": subject.runtime,
        "precision": subject.precision,
        "threads": measured.threads,
        "batch_size": measured.batch_size,
        **summarise(measured.inference.turns, measured.batch_size),
        **measured.fresh,
        "bytes": subject.size_bytes,
        "turns": len(measured.inference.turns),
        "warm_up": measured.inference.warm_up,
        "end_to_end": summarise(files.turns, measured.batch_size) if files and files.turns else None,
    }


def comparisons(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Compare each model with the reference of its group.

    Args:
        measured: Measurements of all models.

    Returns:
        Entries of `comparisons` in `bench.json`; `speedup` is reference time / model time.
    """
    return [
        _comparison(model, reference)
        for model in measured
        for reference in measured
        if reference.is_reference and reference.took_turns_with(model) and not model.is_reference
    ]


def _comparison(model: Measured, reference: Measured) -> dict[str, Any]:
    speedup = ratio(reference.inference.turns, model.inference.turns)
    end_to_end = None
    if model.end_to_end and reference.end_to_end and model.end_to_end.turns:
        total = ratio(reference.end_to_end.turns, model.end_to_end.turns)
        end_to_end = {"speedup": total.value, "speedup_low": total.low, "speedup_high": total.high}
    return {
        "student": model.subject.name,
        "teacher": reference.subject.name,
        "runtime": model.subject.runtime,
        "teacher_runtime": reference.subject.runtime,
        "across_runtimes": model.subject.runtime != reference.subject.runtime,
        "precision": model.subject.precision,
        "teacher_precision": reference.subject.precision,
        "threads": model.threads,
        "batch_size": model.batch_size,
        "speedup": speedup.value,
        "speedup_low": speedup.low,
        "speedup_high": speedup.high,
        "distinguishable": speedup.distinguishable,
        "end_to_end": end_to_end,
    }


def gates(
    pairs: Sequence[dict[str, Any]], measured: Sequence[Measured], max_slowdown: float | None
) -> list[dict[str, Any]]:
    """Evaluate --max-slowdown, a limit of student time / teacher time.

    The gate fails if the whole 95 % interval is above the limit, so that noise alone seldom makes it fail, and if there
    is no interval, or no teacher that can be timed. Students of a run that are compared across runtimes have no gate
    beside those of the teacher's runtime.

    Args:
        pairs: Result of `comparisons`.
        measured: Measurements of all models.
        max_slowdown: The limit; None for no gate.

    Returns:
        Entries of `gates` in `bench.json`.
    """
    if max_slowdown is None:
        return []
    unpaired = [_without_teacher(model) for model in measured if model.group.reference is None]
    mixed = any(model.group.across and model.group.others for model in measured)
    gated = [pair for pair in pairs if not (mixed and pair["across_runtimes"])]
    return [_gate(pair, max_slowdown) for pair in (*gated, *unpaired)]


def _without_teacher(model: Measured) -> dict[str, Any]:
    subject = model.subject
    entry = {"student": subject.name, "teacher": None, "runtime": subject.runtime, "precision": subject.precision}
    setting = {"threads": model.threads, "batch_size": model.batch_size, "across_runtimes": False}
    return {**entry, **setting, "speedup": None, "speedup_high": None}


_GATED = ("student", "teacher", "runtime", "precision", "threads", "batch_size", "across_runtimes")


def _gate(pair: dict[str, Any], limit: float) -> dict[str, Any]:
    low = 1 / pair["speedup_high"] if pair["speedup_high"] else None
    return {
        "name": "max_slowdown",
        "limit": limit,
        "value": 1 / pair["speedup"] if pair["speedup"] else None,
        "low": low,
        "passed": low is not None and low <= limit,
        **{key: pair[key] for key in _GATED},
    }


def slower_int8(measured: Sequence[Measured], instruction_sets: dict[str, bool]) -> list[dict[str, Any]]:
    """Find int8 models that are significantly slower than their fp32 models.

    Args:
        measured: Measurements of all models.
        instruction_sets: Result of `instruction_sets`.

    Returns:
        Entries of `slower_than_fp32` in `bench.json`: the slowdown, likely reasons, and the slowest operators.
    """
    entries = []
    for int8 in measured:
        for fp32 in filter(int8.is_int8_of, measured):
            times = ratio(int8.inference.turns, fp32.inference.turns)
            if times.value > 1 and times.distinguishable:
                entries.append(_slower_entry(int8, times.value, instruction_sets))
    return entries


def _slower_entry(int8: Measured, slowdown: float, instruction_sets: dict[str, bool]) -> dict[str, Any]:
    subject = int8.subject
    operators = make_runtime(subject.runtime).operators(subject.path, int8.threads, int8.batch)
    p50 = summarise(int8.inference.turns, int8.batch_size)["p50_ms"]
    return {
        "name": subject.model,
        "runtime": subject.runtime,
        "threads": int8.threads,
        "batch_size": int8.batch_size,
        "slowdown": slowdown,
        "reasons": likely_reasons(p50, instruction_sets, operators),
        "operators": slowest_operators(operators),
    }
