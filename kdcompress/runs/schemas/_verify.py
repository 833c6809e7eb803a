"""What verify finds: of a run, of a single model, of a run's files."""

from __future__ import annotations

from typing import Literal

from kdcompress.formatting import digits, integer, percent, size
from kdcompress.runs.schemas._parts import Costs, Count, Differences, Gate, MetricName, Ratios, Source
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._roles import describe_gates, model_rows
from kdcompress.runs.schemas._table import Table


class SubclassUse(Result):
    """How a model uses subclasses: their shares by class, how evenly (0 to 1), and which of them died."""

    shares: list[list[float]]
    utilisation: list[float | None]
    died: list[Count]
    agreement: float | None


class SubclassesUsed(Result):
    """How both models use subclasses."""

    teacher: SubclassUse
    student: SubclassUse


class MachineLatency(Result):
    """A student's file on another machine, with the fewest threads that were timed and one image a call.

    Attributes:
        hardware: The machine's board and CPU.
        p50_ms: The median time of a call; `teacher_p50_ms` is the teacher's there.
        speedup: Teacher time / student time, with its 95 % interval.
        parity: Whether the file computes there what it computes where its bundle was made.
    """

    machine: str
    hardware: str
    model: str
    threads: Count
    p50_ms: float
    teacher_p50_ms: float | None = None
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    parity: bool | None = None


class Verification(Kept):
    """What `verify` found of a run, kept as verify.json.

    Attributes:
        run: The run folder; the file itself does not say it.
        dataset: Which data.
        classes: The names of the classes, in the order of the logits.
        teacher: What the teacher costs, layer by layer, with its metrics on test.
        student: The same of the student.
        baseline: Metrics of the same student trained without the teacher, of a run that has one.
        ratios: Student / teacher.
        flops_ratio_from: What the ratio of FLOPs was taken from: MACs, where one of the two has no FLOPs.
        metric: The metric that `metric_drop` is of.
        metric_drop: Teacher minus student, a fraction; below 0 where the student is better.
        comparison: Where the two differ on test.
        subclasses: How they use subclasses, of a run that has them.
        at_chance: Which of student and baseline are not shown to be better than a constant answer.
        gates: The limits that were asked for.
        machines: The times of students' files on other machines.
        passed: Whether all of them were kept.
    """

    run: str = ""
    dataset: Source = made(Source)
    classes: list[str] = made(list)
    teacher: Costs
    student: Costs
    baseline: Costs | None = None
    ratios: Ratios = made(Ratios)
    flops_ratio_from: Literal["flops", "macs"] | None = None
    metric: MetricName | None = None
    metric_drop: float | None = None
    comparison: Differences | None = None
    subclasses: SubclassesUsed | None = None
    at_chance: list[str] = made(list)
    gates: list[Gate] = made(list)
    machines: list[MachineLatency] = made(list)
    passed: bool = True

    def _parts(self) -> list[str]:
        ratios = [f"{key}_ratio={brief(value)}" for key, value in self.ratios.items() if value is not None]
        return [f"passed={self.passed}", *ratios, f"metric_drop={brief(self.metric_drop)}"]

    def _table(self) -> Table:
        head, rows = model_rows(self.teacher, self.student, self.baseline, self.ratios)
        passed, failed = describe_gates(self.gates)
        latency = [f"latency: {digits(self.ratios.latency)} of the teacher's"] if self.ratios.latency else []
        warnings = [*self.teacher.warnings, *self.student.warnings]
        return Table(f"Verification of {self.run}", head, rows, [*latency, *passed], failed, warnings)


class ModelCost(Costs):
    """What a model costs, and where it lies, or what it is called in memory."""

    path: str
    params: Count
    macs: Count
    flops: Count | None
    bytes: Count


class ModelCosts(Kept):
    """What `verify` found of a single model.

    Attributes:
        model: Its parameters, MACs, FLOPs and bytes, and those of each layer.
    """

    model: ModelCost

    def _parts(self) -> list[str]:
        keys = ("path", "params", "macs", "flops", "bytes")
        return [f"{key}={brief(self.model[key])}" for key in keys]

    def _table(self) -> Table:
        model = self.model
        costly = sorted(model.layers, key=lambda layer: layer.share, reverse=True)
        rows = [["all layers", "", *map(integer, (model.params, model.macs, model.flops)), "100 %"]]
        for layer in costly[:10]:
            counts = map(integer, (layer.params, layer.macs, layer.flops))
            rows.append([layer.name, layer.kind, *counts, percent(layer.share)])
        left_out = len(costly) - 10
        notes = [f"and {left_out:,} layers with smaller shares"] if left_out > 0 else []
        head = ["layer", "kind", "parameters", "MACs", "FLOPs", "share"]
        return Table(f"{model.path}, {size(model.bytes)}", head, rows, notes, warnings=model.warnings)


class DamagedFile(Result):
    """A file that is not as the run wrote it: what is wrong with it, and which command makes it again."""

    path: str
    problem: str
    remedy: str


class FilesCheck(Kept):
    """What `verify --files` found.

    Attributes:
        run: The run folder.
        files: How many files the run vouches for.
        damaged: Those that have changed or are gone.
        passed: Whether there are none of these.
    """

    run: str
    files: Count
    damaged: list[DamagedFile]
    passed: bool

    def _parts(self) -> list[str]:
        return [f"passed={self.passed}", f"{self.files} files", f"{len(self.damaged)} damaged"]

    def _table(self) -> Table:
        rows = [[file.path, file.problem, file.remedy] for file in self.damaged]
        title = f"{self.run}: {self.files:,} files, {len(rows):,} damaged"
        return Table(title, ["file", "problem", "remedy"], rows)
