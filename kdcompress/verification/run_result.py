"""The result of a run, as metrics.json has it."""

from __future__ import annotations

from typing import Any

from kdcompress.pipeline.distillation import PipelineResult
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.verification.flops import count_flops_or_none
from kdcompress.verification.roles import swapped_roles_warning
from kdcompress.verification.teachers import count_params_and_flops


def describe_run(run: RunFolder, outcome: PipelineResult, seconds: float, progress: Progress) -> dict[str, Any]:
    """Describe the result of a run.

    Args:
        run: Run folder.
        outcome: Result of its pipeline.
        seconds: Duration over all its resumptions.
        progress: Receives a warning if teacher and student look swapped.

    Returns:
        The content of metrics.json: costs and metrics on test of teacher, student and baseline.
    """
    result: dict[str, Any] = {"dataset": run.manifest()["dataset"]}
    student = outcome.student
    costs = {
        "teacher": count_params_and_flops(outcome.ensemble.teachers),
        "student": {
            "params": student.count_params(),
            "flops": count_flops_or_none(student, outcome.input_shape),
        },
    }
    for name, cost in costs.items():
        result[name] = {**cost, "metrics": outcome.metrics[name]}
    baseline = outcome.metrics.get("baseline")
    result["baseline"] = None if baseline is None else {"metrics": baseline}
    if outcome.assistants:
        result["assistants"] = [
            {
                "name": assistant.name,
                "model": assistant.ensemble.sections[0].model,
                **count_params_and_flops(assistant.ensemble.teachers),
                "metrics": assistant.metrics,
            }
            for assistant in outcome.assistants
        ]
    targets = outcome.targets
    result["targets"] = {
        "cached": targets is not None and targets.cached,
        "seconds": round(targets.seconds, 3) if targets else 0.0,
    }
    if warning := swapped_roles_warning(result["teacher"], result["student"]):
        progress.warn(warning)
        outcome.warnings.append(warning)
    return {**result, "seconds": seconds, "warnings": outcome.warnings, "at_chance": outcome.at_chance}
