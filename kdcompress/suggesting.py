"""Zoo models that could be the student of a recipe, with their costs relative to the teacher's."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress import registry
from kdcompress.config.initialization import initialization_settings
from kdcompress.config.recipe import Recipe
from kdcompress.errors import ModelError, UsageError
from kdcompress.pipeline.planning import RunPlan, plan_run
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.verification.costs import cost_of_model
from kdcompress.verification.gates import Gates
from kdcompress.verification.teachers import cost_of_teachers

_MARGIN = 2.0  # an estimate of FLOPs may be off by this factor
_COUNTS = ("params", "macs", "flops")

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Candidate:
    """A zoo model at a width.

    Attributes:
        model: Name in recipes.
        width: Multiplier of its filters.
        architecture: The class that builds it.
    """

    model: str
    width: float
    architecture: Any

    @property
    def settings(self) -> dict[str, float]:
        """Arguments of `build` and `estimate_flops` beside shape and classes."""
        return {"width": self.width} if "width" in inspect.signature(self.architecture.build).parameters else {}


def suggest_students(recipe: Recipe, run: RunFolder, gates: Gates, progress: Progress) -> dict[str, Any]:
    """Find the zoo models that fit a budget of the teacher's costs.

    Args:
        recipe: The recipe.
        run: Run folder of the recipe, which is not changed.
        gates: Limits on parameters and FLOPs, student / teacher.
        progress: Listener.

    Returns:
        The document that `kdcompress suggest --json` prints, the students in the order of their FLOPs, largest first.

    Raises:
        UsageError: The costs of the teacher, which a limit needs, are unknown.
        KDCompressError: The recipe would be refused.
    """
    plan = plan_run(recipe, run, progress)
    teacher = {key: _teacher_costs(recipe, plan)[key] for key in _COUNTS}
    _check_teacher(teacher, gates)
    shape, outputs = plan.input_shape, int(plan.student.output_shape[-1])
    candidates = list(_candidates())
    small = [candidate for candidate in candidates if not _is_too_large(candidate, shape, teacher, gates)]
    rows, unfit = _count_all(small, shape, outputs, progress)
    for row in rows:
        row |= {f"{key}_ratio": _ratio(row[key], teacher[key]) for key in _COUNTS}
    students = sorted((row for row in rows if _fits(row, gates)), key=lambda row: (-row["flops"], row["params"]))
    return {
        "recipe": recipe.name,
        "input_shape": list(shape),
        "classes": outputs,
        "teacher": {"model": recipe.teacher.display_name, **teacher},
        "limits": {name: limit for name, limit in vars(gates).items() if limit is not None},
        "students": students,
        "too_large": len(candidates) - len(small) + len(rows) - len(students),
        "unfit": unfit,
    }


def _teacher_costs(recipe: Recipe, plan: RunPlan) -> dict[str, Any]:
    return cost_of_teachers(plan.teachers, [section.model for section in recipe.teacher.teachers])


def _check_teacher(teacher: dict[str, Any], gates: Gates) -> None:
    unknown = [
        name
        for name, limit, known in (
            ("--max-params-ratio", gates.max_params_ratio, teacher["params"]),
            ("--max-flops-ratio", gates.max_flops_ratio, teacher["flops"] or teacher["macs"]),
        )
        if limit is not None and not known
    ]
    if unknown:
        raise UsageError(f"{unknown[0]} needs the teacher's costs, which are unknown: a teacher of logits has no model")


def _candidates() -> Iterator[Candidate]:
    for model in (*registry.choices("models"), *registry.family_choices("models")):
        architecture = registry.load("models", model)
        for width in architecture.widths:
            yield Candidate(model, width, architecture)


def _is_too_large(candidate: Candidate, shape: Shape, teacher: dict[str, Any], gates: Gates) -> bool:
    """Whether a model need not be built to know that it is over the budget of FLOPs."""
    estimate = candidate.architecture.estimate_flops(shape, **candidate.settings)
    total = teacher["flops"] or 2 * (teacher["macs"] or 0)
    limit = gates.max_flops_ratio
    return estimate is not None and limit is not None and estimate > _MARGIN * limit * total


def _count_all(
    candidates: Sequence[Candidate], shape: Shape, outputs: int, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Count the costs of candidates, and collect why others do not take such images."""
    rows, unfit = [], {}
    progress.begin("counting", len(candidates))
    try:
        for number, candidate in enumerate(candidates, start=1):
            try:
                rows.append(_count(candidate, shape, outputs))
            except ModelError as exc:
                unfit[candidate.model] = str(exc)
            progress.step(number, {})
    finally:
        progress.end()
    return rows, unfit


def _count(candidate: Candidate, shape: Shape, outputs: int) -> dict[str, Any]:
    model = candidate.architecture.build(shape, outputs, **candidate.settings)
    cost = cost_of_model(model, shape).to_dict()
    pretrained = "pretrained" in initialization_settings(candidate.model)
    costs = {key: cost[key] for key in _COUNTS}
    return {"model": candidate.model, "width": candidate.width, "pretrained": pretrained, **costs}


def _fits(row: dict[str, Any], gates: Gates) -> bool:
    flops = row["flops_ratio"] if row["flops_ratio"] is not None else row["macs_ratio"]
    verdicts = gates.evaluate({"params": row["params_ratio"], "flops": flops, "bytes": None}, None)
    return all(verdict["passed"] for verdict in verdicts)


def _ratio(student: int | None, teacher: int | None) -> float | None:
    return student / teacher if student is not None and teacher else None
