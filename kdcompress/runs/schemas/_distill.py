"""What distill finds, and what it would do."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import percent
from kdcompress.runs.schemas._compress import Compression, PlannedStep
from kdcompress.runs.schemas._parts import Costs, Count, Data, Ratios
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._roles import model_rows, ratio
from kdcompress.runs.schemas._table import Table


class Targets(Result):
    """The teacher's outputs on the training images: whether they were in the cache, and the seconds they took."""

    cached: bool
    seconds: float


class Assistant(Costs):
    """A model between teacher and student: what it costs, with its metrics on test."""

    name: str
    model: str


class RunResult(Kept):
    """What `distill` found, kept as metrics.json.

    Attributes:
        run: The run folder; the file itself does not say it.
        dataset: Which data, and how many images.
        teacher: What the teacher costs, with its metrics on test.
        student: The same of the distilled student.
        baseline: Metrics of the same student trained without the teacher; None of a run without one.
        assistants: Models between teacher and student, in their order.
        targets: How long the teacher's outputs took.
        seconds: How long the run took, over all times that it went on.
        warnings: What to know before a figure is quoted.
        at_chance: Which of student and baseline are not shown to be better than a constant answer.
        compressed: What the compression did that the recipe asks for; the file itself does not say it.
    """

    run: str = ""
    dataset: Data
    teacher: Costs
    student: Costs
    baseline: Costs | None
    assistants: list[Assistant] = made(list)
    targets: Targets | None = None
    seconds: float
    warnings: list[str]
    at_chance: list[str] = made(list)
    compressed: Compression | None = None

    def _parts(self) -> list[str]:
        roles = {"teacher": self.teacher, "student": self.student, "baseline": self.baseline}
        key = "auc" if self.student.metrics.get("auc") is not None else "accuracy"
        known = {role: one.metrics.get(key) for role, one in roles.items() if one is not None}
        shown = ", ".join(f"{role} {brief(value)}" for role, value in known.items())
        return [f"test {key}: {shown}", f"seconds={brief(self.seconds)}"]

    def _table(self) -> Table:
        teacher, student = self.teacher, self.student
        ratios = Ratios({key: ratio(student.get(key), teacher.get(key)) for key in ("params", "flops", "bytes")})
        head, rows = model_rows(teacher, student, self.baseline, ratios)
        between = {one.name: percent(one.metrics.accuracy) for one in self.assistants}
        notes = [f"accuracy on test of {name}: {value}" for name, value in between.items()]
        title = f"Run {self.run}: {self.dataset.name}, {self.dataset.n_test:,} test images"
        return Table(title, head, rows, notes, warnings=self.warnings)


class PlannedModel(Result):
    """A model, and what would be done with it."""

    model: str
    todo: str
    params: Count | None
    flops: Count | None


class PlannedAssistant(PlannedModel):
    """A model between teacher and student, which would be trained first."""

    name: str


class PlannedTargets(Result):
    """How large the teacher's outputs would be, and whether they are there."""

    views: Count
    bytes: Count
    todo: str


class Plan(Kept):
    """What `distill --dry-run` says that distill would do.

    Attributes:
        run: The run folder.
        state: Whether the run is new, begun or finished.
        dataset: Which data, and how many images.
        method: The distillation method with its settings.
        baseline: Whether the student would also be trained without the teacher.
        targets: The teacher's outputs on the training images: how large, and whether they are in the cache.
        teacher: The teacher, and what would be done with it.
        student: The student, and what would be done with it.
        assistants: The models between teacher and student.
        compress: The steps of the compression that would follow.
        superclasses: The classes that are merged into each new class.
    """

    run: str
    state: str
    dataset: Data
    method: dict[str, Any]
    baseline: str
    targets: PlannedTargets
    teacher: PlannedModel
    student: PlannedModel
    assistants: list[PlannedAssistant] = made(list)
    compress: list[PlannedStep] = made(list)
    superclasses: dict[str, list[str]] = made(dict)
