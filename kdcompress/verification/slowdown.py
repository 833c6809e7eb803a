"""Limits on the latency of a run's student on one of its machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.errors import RunError, UsageError
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.machines import read_machine
from kdcompress.runs.names import remedy, source_of
from kdcompress.runs.schemas import Benchmark
from kdcompress.verification.machines import BENCH, LOCAL, parity_of


@dataclass(frozen=True)
class SlowdownLimit:
    """A limit of student time / teacher time on one machine.

    Attributes:
        limit: The limit, > 0.
        machine: Name of the machine; None for the one on which `bench` itself ran.
    """

    limit: float
    machine: str | None

    @classmethod
    def of(cls, limit: float | None, machine: str | None) -> SlowdownLimit | None:
        """Validate the options.

        Args:
            limit: --max-slowdown.
            machine: --machine.

        Returns:
            The limit; None if none is set.

        Raises:
            UsageError: The limit is out of range, or a machine is named without a limit.
        """
        if limit is None:
            if machine is not None:
                raise UsageError("--machine names the machine of --max-slowdown, which is not given")
            return None
        if not (limit > 0 and math.isfinite(limit)):
            raise UsageError(f"--max-slowdown must be a number above 0 (student time / teacher time), got {limit}")
        return cls(limit, machine)

    def evaluate(self, run: RunFolder) -> list[dict[str, Any]]:
        """Hold the times of a run's benchmark against the limit.

        Args:
            run: Folder of the run.

        Returns:
            Result of `slowdown_gates`.

        Raises:
            RunError: The machine was not measured, or with other files than the run has now.
        """
        if self.machine is not None:
            return slowdown_gates(read_machine(run, self.machine), self.limit, self.machine)
        if not run.has_file(BENCH):
            raise RunError(f"--max-slowdown needs times; `kdcompress bench {source_of(run.path)}` measures them")
        return slowdown_gates(read_checked(run / BENCH, remedy(BENCH, run.path)), self.limit, LOCAL)


def slowdown_gates(benchmark: Mapping[str, Any], limit: float, machine: str) -> list[dict[str, Any]]:
    """Hold the times of a benchmark against a limit of student time / teacher time.

    As in a benchmark, a gate fails if the whole 95 % interval lies above the limit, or if there is none. It fails, too,
    for a file that does not compute on that machine what it should.

    Args:
        benchmark: Benchmark of the machine.
        limit: Limit, > 0.
        machine: Name of the machine.

    Returns:
        `name`, `limit`, `value`, `low`, `passed`, `machine` and `model` for each comparison.

    Raises:
        RunError: The benchmark compares nothing.
    """
    benchmark = Benchmark.of(benchmark).completed()
    pairs = [pair for pair in benchmark.comparisons if not pair.across_runtimes] or benchmark.comparisons
    if not pairs:
        raise RunError(f"--max-slowdown needs the teacher's times, and on machine {machine} it was not timed")
    return [_gate(pair, benchmark.parity, limit, machine) for pair in pairs]


def _gate(pair: Mapping[str, Any], parity: Sequence[Mapping[str, Any]], limit: float, machine: str) -> dict[str, Any]:
    low = 1 / pair["speedup_high"] if pair["speedup_high"] else None
    checked = parity_of(parity, pair["student"], pair["runtime"], pair["precision"])
    wrong = checked is not None and not checked["passed"]
    precision = f" {pair['precision']}" if pair["precision"] else ""
    threads = f"{pair['threads']} thread{'' if pair['threads'] == 1 else 's'}"
    return {
        "name": "max_slowdown",
        "limit": limit,
        "value": 1 / pair["speedup"],
        "low": low,
        "passed": low is not None and low <= limit and not wrong,
        "machine": machine,
        "model": f"{pair['student']}{precision} on {pair['runtime']}, {threads}, batch {pair['batch_size']}",
    }
