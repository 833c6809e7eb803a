"""What report writes, and what it says."""

from __future__ import annotations

from kdcompress.formatting import points
from kdcompress.runs.schemas._parts import Differences, Metrics, Ratios
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._roles import metric_heads, metric_row
from kdcompress.runs.schemas._sweep import Gain, Judged, Worth
from kdcompress.runs.schemas._table import Table


class ReportedRun(Result):
    """One of several runs beside each other."""

    run: str
    ratios: Ratios
    metrics: dict[str, Metrics]


class Report(Kept):
    """What `report` wrote: of one run, of several, or of a sweep.

    Attributes:
        report: The path of the page.
        run: The run folder, of one run.
        model_card: The path of the model card, of one run.
        finished: Whether the run has come to its result.
        missing: The commands that would bring what is not in the report yet.
        ratios: Student / teacher.
        metrics: Metrics on test by role: teacher, student, and baseline if there is one.
        comparison: Where student and teacher differ on test.
        runs: Each run, of several.
        sweep: The folder of a sweep.
        gain: What the teacher brings, of a sweep.
        best: The setting that a sweep chose.
        worth: Whether distillation is worth it on the data of a sweep.
    """

    report: str
    run: str | None = None
    model_card: str | None = None
    finished: bool | None = None
    missing: list[str] = made(list)
    ratios: Ratios = made(Ratios)
    metrics: dict[str, Metrics] = made(dict)
    comparison: Differences | None = None
    runs: list[ReportedRun] = made(list)
    sweep: str | None = None
    gain: Gain | None = None
    best: Judged | None = None
    worth: Worth | None = None

    def _parts(self) -> list[str]:
        runs = [f"{len(self.runs)} runs"] if self.runs else []
        missing = [f"missing={self.missing}"] if self.missing else []
        return [brief(self.report), *runs, *missing]

    def _table(self) -> Table:
        compared = [(f"{one.run}: ", one.metrics) for one in self.runs] or [("", self.metrics)]
        student = compared[0][1].get("student", Metrics())
        with_auc = student.get("auc") is not None
        rows = []
        for run, roles in compared:
            for role, metrics in roles.items():
                name, *values = metric_row(role, metrics, with_auc)
                rows.append([f"{run}{name}", *values])
        gain = [f"gain from the teacher: {points(self.gain.mean)} points"] if self.gain is not None else []
        missing = [f"not in it yet: {command}" for command in self.missing]
        return Table("Report", ["on test", *metric_heads(student)], rows, [*gain, *missing], page=self.report)
