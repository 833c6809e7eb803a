"""A benchmark from start to end, also if it is interrupted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._base import Images, Reporter
from kdcompress.benchmarking._cores import cores
from kdcompress.benchmarking._fresh import measure_fresh
from kdcompress.benchmarking._heat import HeatMonitor, heat_warning
from kdcompress.benchmarking._load import LoadMonitor, load_warning
from kdcompress.benchmarking._machine import describe_machine
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.benchmarking._result import (
    Measured,
    comparisons,
    gates,
    model_entry,
    slower_int8,
)
from kdcompress.benchmarking._statistics import BLOCK, CONFIDENCE, RESAMPLES
from kdcompress.benchmarking._steadiness import drift_warning, unsettled_warning
from kdcompress.benchmarking._subjects import Group, Lineup, Subject, batches
from kdcompress.benchmarking._timing import Contender, Plan, take_turns
from kdcompress.errors import UsageError
from kdcompress.formatting import plural

_ROUNDS_PER_SAMPLE = 5  # of the temperature


def measure(lineup: Lineup, request: BenchRequest, progress: Reporter) -> dict[str, Any]:
    """Time all models of a line-up.

    Args:
        lineup: Models and images.
        request: Options.
        progress: Receives notes and steps.

    Returns:
        The document that `kdcompress bench --json` prints; after Ctrl-C with the completed measurements, if there are
        any, and `interrupted`.

    Raises:
        UsageError: A gate is set for a single model.
        ModelError: A model cannot be run.
        DataError: Image files cannot be read.
    """
    start = time.perf_counter()
    _check(lineup, request)
    runtimes = sorted({subject.runtime for subject in lineup.subjects})
    machine = describe_machine([make_runtime(name).package for name in runtimes])
    load, heat, interrupted = LoadMonitor(), HeatMonitor(), False
    work = _Work(request, progress, heat)
    try:
        work.time(lineup)
    except KeyboardInterrupt:
        interrupted = True
        if not work.finished:
            raise
    machine.update(load=load.summary(), heat=heat.summary())
    pairs = comparisons(work.finished)
    verdicts = gates(pairs, work.finished, request.max_slowdown)
    loaded = load_warning(machine["load"])
    warnings = [
        loaded,
        heat_warning(machine["heat"]),
        None if loaded else drift_warning(work.finished),
        unsettled_warning(work.finished),
        _threads_warning(request),
    ]
    return {
        "machine": machine,
        "settings": {**_settings(request), "inputs": lineup.inputs, "runtimes": _runtime_settings(runtimes)},
        "models": [model_entry(measured) for measured in work.finished],
        "comparisons": pairs,
        "slower_than_fp32": [] if interrupted else slower_int8(work.finished, machine["instruction_sets"]),
        "skipped": lineup.skipped,
        "gates": verdicts,
        # A gate cannot pass on measurements that are missing
        "passed": all(verdict["passed"] for verdict in verdicts) and not (interrupted and request.max_slowdown),
        "warnings": [warning for warning in warnings if warning],
        "interrupted": interrupted,
        "seconds": round(time.perf_counter() - start, 3),
    }


@dataclass
class _Work:
    """Measurements so far."""

    request: BenchRequest
    progress: Reporter
    heat: HeatMonitor

    def __post_init__(self) -> None:
        self.measured: list[Measured] = []
        self.plan = Plan.of(self.request.duration_s)

    @property
    def finished(self) -> list[Measured]:
        """Models that had at least one turn."""
        return [measured for measured in self.measured if measured.inference.turns]

    def time(self, lineup: Lineup) -> None:
        """Time all models at all settings; completed measurements are in `measured` at any moment.

        All settings have a turn in every round, so that each is distributed over the whole benchmark: the speed of a
        shared machine changes by the minute, and consecutive seconds would measure only that moment.
        """
        cases = [
            (group, subject, *setting)
            for group in lineup.groups
            for setting in self.request.settings
            for subject in group.subjects
        ]
        self.progress.note(f"opening {plural(len(cases), 'model')}, each in a process of its own ...")
        for case in cases:
            self.measured.append(self._measure(*case))
        self._take_turns("timing", [measured.inference for measured in self.measured])
        if lineup.files:
            from kdcompress.benchmarking._end_to_end import make_contender

            for measured in self.measured:
                measured.end_to_end = make_contender(measured, lineup.files)
            self._take_turns("from files", [m.end_to_end for m in self.measured if m.end_to_end])

    def _measure(self, group: Group, subject: Subject, threads: int, batch_size: int) -> Measured:
        images = batches(subject.images, batch_size)
        fresh = measure_fresh(subject.runtime, subject.path, threads, images[0])
        session = make_runtime(subject.runtime).open(subject.path, threads, images[0].shape)
        inputs = [session.prepare(batch) for batch in images]
        inference = Contender(_inference(subject, threads, images[0]), inputs)
        return Measured(group, subject, threads, batch_size, images[0], fresh, inference)

    def _take_turns(self, phase: str, contenders: list[Contender]) -> None:
        self.progress.begin(phase, total=self.plan.rounds)
        try:
            take_turns(contenders, self.plan, self._on_round)
        finally:
            self.progress.end()

    def _on_round(self, done: int) -> None:
        self.progress.step(done, {})
        if done % _ROUNDS_PER_SAMPLE == 0:
            self.heat.sample()


def _check(lineup: Lineup, request: BenchRequest) -> None:
    # The only student of a run whose teacher cannot be timed fails the gate, as several do
    single = len(lineup.subjects) == 1 and all(group.reference for group in lineup.groups)
    if request.max_slowdown is not None and single:
        raise UsageError("--max-slowdown compares two models: name another file, the reference first, or a run")


def _inference(subject: Subject, threads: int, batch: Images) -> Any:
    runtime = make_runtime(subject.runtime)
    return lambda: runtime.open(subject.path, threads, batch.shape).invoke


def _settings(request: BenchRequest) -> dict[str, Any]:
    return {
        "threads": list(request.threads),
        "batch_sizes": list(request.batch_sizes),
        "duration_s": request.duration_s,
        **Plan.of(request.duration_s).summary,
        "speedup": "geometric mean over rounds of (teacher's median time in its turn / student's in its turn)",
        "interval": f"{100 * CONFIDENCE:.0f} % block bootstrap, blocks of {BLOCK} rounds, {RESAMPLES} resamples",
        "end_to_end": str(request.end_to_end) if request.end_to_end else None,
    }


def _runtime_settings(runtimes: list[str]) -> dict[str, Any]:
    return {name: make_runtime(name).settings() for name in runtimes}


def _threads_warning(request: BenchRequest) -> str | None:
    if max(request.threads) <= cores():
        return None
    return f"{max(request.threads)} threads are more than the {plural(cores(), 'core')} that this process may use"
