"""The figures of a result by whom they are of, under the names that trackers show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ROLES = ("teacher", "student", "baseline")
_COSTS = ("params", "flops")


def final_figures(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Collect what trackers show of the result of a run or sweep.

    Args:
        result: The document that `distill --json` or `sweep --json` prints.

    Returns:
        Numbers by name, such as {"test/accuracy": 0.98, "params": 7850.0}, for teacher, student and baseline, and under
        "" those that concern the whole: ratios (student / teacher), gains (student - baseline), seconds.
    """
    figures = {role: _figures_of(result[role], result.get("metric", "")) for role in _ROLES if result.get(role)}
    teacher, student, baseline = (figures.get(role, {}) for role in _ROLES)
    ratios = {f"ratio/{key}": student[key] / teacher[key] for key in _COSTS if key in student and teacher.get(key)}
    gains = {f"gain/{key[5:]}": student[key] - baseline[key] for key in baseline if key.startswith("test/")}
    return {**figures, "": {**ratios, **gains, "seconds": float(result["seconds"])}}


def _figures_of(model: Mapping[str, Any], metric: str) -> dict[str, float]:
    """The figures of one model; of the models of a sweep, the mean of its one metric over the seeds."""
    metrics = model.get("metrics", {})
    if "test" in model:
        test = model["test"]
        metrics = {metric: test["mean"] if isinstance(test, Mapping) else test}
    values = {**{f"test/{key}": value for key, value in metrics.items()}, **{key: model.get(key) for key in _COSTS}}
    return {key: float(value) for key, value in values.items() if isinstance(value, int | float)}
