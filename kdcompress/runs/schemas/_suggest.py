"""Which zoo models fit a budget."""

from __future__ import annotations

from kdcompress.formatting import MISSING, abbreviate, digits
from kdcompress.runs.schemas._parts import Count
from kdcompress.runs.schemas._result import Kept, Result
from kdcompress.runs.schemas._table import Table


class TeacherCosts(Result):
    """What the teacher costs; None where that is unknown."""

    model: str
    params: Count | None
    macs: Count | None
    flops: Count | None


class SuggestedStudent(Result):
    """A zoo model at a width.

    Attributes:
        model: Its name in recipes.
        width: Multiplier of its filters.
        pretrained: Whether there are published weights for it.
        params: Parameters.
        macs: Multiply-accumulate operations of an image.
        flops: FLOPs of an image.
        params_ratio: Its parameters, relative to the teacher's.
        macs_ratio: Its MACs, relative to the teacher's.
        flops_ratio: Its FLOPs, relative to the teacher's; None if these are unknown.
    """

    model: str
    width: float
    pretrained: bool
    params: Count
    macs: Count
    flops: Count
    params_ratio: float | None
    macs_ratio: float | None
    flops_ratio: float | None


class Suggestions(Kept):
    """What `suggest` found.

    Attributes:
        recipe: Name of the recipe.
        input_shape: (H, W, C).
        classes: Number of outputs of a student.
        teacher: What the teacher costs.
        limits: Limits by name.
        students: The models that fit, those with most FLOPs first.
        too_large: How many models at a width are over the budget.
        unfit: Why models do not take such images, by their name.
    """

    recipe: str
    input_shape: list[Count]
    classes: Count
    teacher: TeacherCosts
    limits: dict[str, float]
    students: list[SuggestedStudent]
    too_large: Count
    unfit: dict[str, str]

    def _parts(self) -> list[str]:
        return [f"students={len(self.students)}", f"too_large={self.too_large}"]

    def _table(self) -> Table:
        teacher = [f"teacher {self.teacher.model}", "", "", abbreviate(self.teacher.params), ""]
        rows = [[*teacher, abbreviate(self.teacher.flops), ""]]
        for one in self.students:
            shares = [MISSING if value is None else digits(value) for value in (one.params_ratio, one.flops_ratio)]
            name = [one.model, f"{one.width:g}", "yes" if one.pretrained else "no"]
            rows.append([*name, abbreviate(one.params), shares[0], abbreviate(one.flops), shares[1]])
        head = ["model", "width", "published weights", "parameters", "ratio", "FLOPs", "ratio"]
        limits = ", ".join(f"{name} {value:g}" for name, value in self.limits.items())
        notes = [f"{self.too_large:,} models at a width are over the limits"]
        return Table(f"Students for {self.recipe}: {limits}", head, rows, notes)
