"""What bench measures."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, digits, ms
from kdcompress.runs.schemas._machine import BundleSource, Machine, MachineParity
from kdcompress.runs.schemas._parts import Count, Gate, Positive
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._roles import describe_gates, without_empty
from kdcompress.runs.schemas._table import Table


class Times(Result):
    """Times of calls in ms: percentiles, the mean, and of how many calls."""

    n: Count
    p50_ms: Positive
    p90_ms: Positive
    p99_ms: Positive
    mean_ms: Positive
    max_ms: float | None = None
    throughput_per_s: float | None = None
    quantiles_ms: list[float] = made(list)


class WarmUp(Result):
    """Calls before the clock counts: how many, in how many ms, and whether times settled."""

    calls: Count
    ms: float
    settled: bool
    spread: float | None


class Timed(Times):
    """One model at one number of threads and one batch size.

    Attributes:
        load_ms: Opening the file in a fresh process.
        first_ms: The first call there.
        peak_rss_mb: The highest resident memory of that process, in 10^6 bytes; `runtime_rss_mb` is the runtime's part.
        throughput_per_s: Images a second.
        quantiles_ms: The 0th to 100th percentile of a call's time.
        end_to_end: The same from image file to answer, where it was asked for.
    """

    name: str
    path: str = ""
    runtime: str
    precision: str | None
    threads: Count
    batch_size: Count
    load_ms: float | None = None
    first_ms: float | None = None
    peak_rss_mb: float | None = None
    runtime_rss_mb: float | None = None
    bytes: Count | None = None
    turns: Count | None = None
    warm_up: WarmUp | None = None
    end_to_end: Times | None = None


class Speedup(Result):
    """Teacher time / student time, and its 95 % interval, which is None of too few rounds."""

    speedup: Positive
    speedup_low: float | None
    speedup_high: float | None


class Comparison(Speedup):
    """A student against its teacher; `distinguishable` unless the interval of the speedup covers 1.

    Attributes:
        across_runtimes: Whether the two ran on different runtimes, since the teacher does not run on the student's:
            the images, threads and batch are the same, and the speedup is that of model and runtime together.
    """

    student: str
    teacher: str = ""
    runtime: str
    teacher_runtime: str = ""
    across_runtimes: bool = False
    precision: str | None
    teacher_precision: str | None = None
    threads: Count
    batch_size: Count
    distinguishable: bool
    end_to_end: Speedup | None = None


class SlowdownGate(Gate):
    """Student time / teacher time against its limit.

    Attributes:
        across_runtimes: Whether the two ran on different runtimes.
    """

    student: str | None = None
    teacher: str | None = None
    runtime: str | None = None
    precision: str | None = None
    threads: Count | None = None
    batch_size: Count | None = None
    across_runtimes: bool = False


class OperatorShare(Result):
    """A kind of operator, and its fraction of a model's time."""

    operator: str
    share: float


class SlowInt8(Result):
    """An int8 file that takes longer than the fp32 one: how many times as long, and the likely reasons."""

    name: str
    runtime: str
    threads: Count
    batch_size: Count
    slowdown: float
    reasons: list[str]
    operators: list[OperatorShare] | None


class Benchmark(Kept):
    """What `bench` measured, of a run kept as bench.json, and of other machines as machines/NAME.json.

    Attributes:
        run: The run folder; None of files, and in the file itself.
        machine: The CPU, its instruction sets, the system, versions, and what else it was doing.
        settings: How it was measured.
        models: Every model at every number of threads and batch size.
        comparisons: Every student against its teacher, or every file against the first.
        slower_than_fp32: int8 files that are slower than fp32 ones beyond doubt.
        skipped: What was not timed, and why.
        gates: `max_slowdown`, if it was set, for each student.
        passed: Whether all gates were kept.
        warnings: What to know before a figure is quoted.
        interrupted: Whether it was broken off; it tells of what was finished then.
        seconds: How long it took.
        bundle: The bundle that was measured, of another machine.
        parity: Whether each file computes there what it computes where the bundle was made.
        machines: The benchmarks of other machines, of a run; None in the file itself.
    """

    run: str | None = None
    machine: Machine
    settings: dict[str, Any] = made(dict)
    models: list[Timed]
    comparisons: list[Comparison]
    slower_than_fp32: list[SlowInt8] = made(list)
    skipped: list[str] = made(list)
    gates: list[SlowdownGate] = made(list)
    passed: bool = True
    warnings: list[str] = made(list)
    interrupted: bool = False
    seconds: float | None = None
    bundle: BundleSource | None = None
    parity: list[MachineParity] = made(list)
    machines: dict[str, Any] = made(dict)

    def _parts(self) -> list[str]:
        speedups = [one.speedup for one in self.comparisons]
        span = [f"speedup {brief(min(speedups))} to {brief(max(speedups))}"] if speedups else []
        broken_off = ["interrupted"] if self.interrupted else []
        return [f"{len(self.models)} timings", *span, f"passed={self.passed}", *broken_off]

    def _table(self) -> Table:
        speedups = {
            (one.student, one.runtime, one.precision, one.threads, one.batch_size): one for one in self.comparisons
        }
        rows = []
        for model in self.models:
            setting = (model.runtime, model.precision, model.threads, model.batch_size)
            times = [ms(model.p50_ms), ms(model.p90_ms)]
            rows.append([model.name, *map(_cell, setting), *times, *_speedup(speedups.get((model.name, *setting)))])
        head = ["model", "runtime", "precision", "threads", "batch", "median ms", "90 % ms", "speedup", "95 % interval"]
        passed, failed = describe_gates(self.gates)
        warnings = [*(["interrupted: not all was measured"] if self.interrupted else []), *self.warnings]
        title = f"Inference times{f' of {self.run}' if self.run else ''}, {self.machine.cpu or 'unknown CPU'}"
        return Table(title, *without_empty(head, rows), [*passed, *self.skipped], failed, warnings)


def _cell(value: object) -> str:
    return MISSING if value is None else str(value)


def _speedup(comparison: Speedup | None) -> list[str]:
    """A speedup and its interval, for a model that is compared with another one."""
    if comparison is None:
        return [MISSING, MISSING]
    low, high = comparison.speedup_low, comparison.speedup_high
    interval = MISSING if low is None or high is None else f"{digits(low)} to {digits(high)}"
    return [digits(comparison.speedup), interval]
