"""A run's benchmarks on several machines side by side, with parity, and limits on the latency on one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress.formatting import MISSING, digits, ms
from kdcompress.runs.schemas import Benchmark, Machine

BENCH = "bench.json"
LOCAL = "local"  # the machine on which `bench` itself ran


@dataclass(frozen=True)
class MachineRow:
    """A student's file on a machine, with the fewest threads and one image a call.

    Attributes:
        machine: Name of the machine.
        hardware: Its board and CPU, as far as they are known.
        name: Name of the model.
        runtime: Runtime.
        precision: Precision, if known.
        threads: Number of threads.
        p50_ms: Median time of a call.
        teacher_p50_ms: That of the teacher, if it was timed there.
        speedup: Teacher time / student time, with its 95 % interval; None without the teacher.
        parity: Result of the parity check there; None where there was none.
    """

    machine: str
    hardware: str
    name: str
    runtime: str
    precision: str | None
    threads: int
    p50_ms: float
    teacher_p50_ms: float | None
    speedup: tuple[float, float | None, float | None] | None
    parity: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        """Model, precision and runtime."""
        precision = f" {self.precision}" if self.precision else ""
        return f"{self.name}{precision} on {self.runtime}"

    @property
    def speedup_text(self) -> str:
        """The speedup with its interval."""
        if self.speedup is None:
            return MISSING
        value, low, high = self.speedup
        return digits(value) if low is None or high is None else f"{digits(value)} ({digits(low)} to {digits(high)})"

    @property
    def parity_text(self) -> str:
        """The outcome of the parity check in a few words."""
        if self.parity is None:
            return MISSING
        if not self.parity["passed"]:
            return f"FAILED: {'; '.join(self.parity['reasons'])}"
        if self.parity["identical"]:
            return "equal bit for bit"
        worst, largest = self.parity["max_abs_diff"], self.parity["largest_logit"]
        return f"within {100 * worst / largest:.2g} %" if worst is not None and largest else "passed"

    def to_dict(self) -> dict[str, Any]:
        """Return an entry of `machines` in `verify.json`."""
        value, low, high = self.speedup or (None, None, None)
        return {
            "machine": self.machine,
            "hardware": self.hardware,
            "model": self.label,
            "threads": self.threads,
            "p50_ms": self.p50_ms,
            "teacher_p50_ms": self.teacher_p50_ms,
            "speedup": value,
            "speedup_low": low,
            "speedup_high": high,
            "parity": None if self.parity is None else self.parity["passed"],
        }

    @property
    def cells(self) -> list[str]:
        """Cells of a table with the titles `HEAD`."""
        return [
            self.machine, self.label, str(self.threads), ms(self.p50_ms), ms(self.teacher_p50_ms),
            self.speedup_text, self.parity_text,
        ]  # fmt: skip


HEAD = ("machine", "model", "threads", "median ms", "teacher ms", "speedup (95 %)", "parity there")


def machine_rows(local: Mapping[str, Any] | None, machines: Mapping[str, Mapping[str, Any]]) -> list[MachineRow]:
    """Put the benchmarks of a run's machines side by side.

    Args:
        local: `bench.json`, if there is one.
        machines: Benchmarks of other machines by name.

    Returns:
        Rows of all students' files, the local machine first; each with the fewest threads and one image a call.
    """
    benchmarks = {**({LOCAL: local} if local else {}), **machines}
    return [row for name, document in benchmarks.items() for row in _rows(name, Benchmark.of(document).completed())]


_NOT_THERE = ("kdcompress", "tensorflow", "keras", "scikit-learn")  # what does not run a file
FACTS = ("name", "hardware", "system", "versions", "°C before, highest")


def facts(local: Mapping[str, Any] | None, machines: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Describe the machines of a run.

    Args:
        local: `bench.json`, if there is one.
        machines: Benchmarks of other machines by name.

    Returns:
        Cells of a table with the titles `FACTS`, one row for each machine.
    """
    benchmarks = {**({LOCAL: local} if local else {}), **machines}
    return [_facts(name, Benchmark.of(document).completed().machine) for name, document in benchmarks.items()]


def _facts(name: str, machine: Machine) -> list[str]:
    versions = [f"{package} {version}" for package, version in machine.versions.items() if package not in _NOT_THERE]
    before, highest = (
        None if value is None else f"{value:.0f}" for value in (machine.heat.before_c, machine.heat.max_c)
    )
    heat = f"{before}, {highest}" if before and highest else MISSING
    return [name, hardware(machine), machine.os or MISSING, ", ".join(versions) or MISSING, heat]


def hardware(machine: Mapping[str, Any]) -> str:
    """Name the hardware of a machine.

    Args:
        machine: `machine` of a benchmark.

    Returns:
        Board and CPU, or the architecture where neither is known.
    """
    names = dict.fromkeys(filter(None, (machine.get("board"), machine.get("cpu"))))
    return ", ".join(names) or machine.get("arch") or "unknown"


def _rows(name: str, benchmark: Mapping[str, Any]) -> list[MachineRow]:
    models = [model for model in benchmark["models"] if model["batch_size"] == 1]
    fewest = min((model["threads"] for model in models), default=1)
    models = [model for model in models if model["threads"] == fewest]
    teachers = {model["runtime"]: model["p50_ms"] for model in models if model["name"] == "teacher"}
    return [
        MachineRow(
            name,
            hardware(benchmark["machine"]),
            model["name"],
            model["runtime"],
            model["precision"],
            fewest,
            model["p50_ms"],
            teachers.get(model["runtime"]),
            _speedup(benchmark, model),
            parity_of(benchmark["parity"], model["name"], model["runtime"], model["precision"]),
        )
        for model in models
        if model["name"] != "teacher"
    ]


def _speedup(benchmark: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[float, float | None, float | None] | None:
    keys = ("runtime", "precision", "threads", "batch_size")
    for pair in benchmark["comparisons"]:
        same = pair["student"] == model["name"] and all(pair[key] == model[key] for key in keys)
        if same and not pair["across_runtimes"]:
            return pair["speedup"], pair["speedup_low"], pair["speedup_high"]
    return None


def parity_of(
    parity: Sequence[Mapping[str, Any]], name: str, runtime: str, precision: str | None
) -> Mapping[str, Any] | None:
    key = (name, runtime, precision)
    return next((entry for entry in parity if (entry["name"], entry["runtime"], entry["precision"]) == key), None)
