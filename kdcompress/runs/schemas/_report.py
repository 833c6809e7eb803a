"""What report writes, and what it says."""

from __future__ import annotations

from kdcompress.runs.schemas._parts import Differences, Metrics, Ratios
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._sweep import Gain, Judged


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

    def _parts(self) -> list[str]:
        runs = [f"{len(self.runs)} runs"] if self.runs else []
        missing = [f"missing={self.missing}"] if self.missing else []
        return [brief(self.report), *runs, *missing]
