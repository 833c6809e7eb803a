"""Result of a sweep: the setting chosen on validation, and its test metric against the baseline's."""

from __future__ import annotations

from typing import Any

from kdcompress.errors import TrainingError
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.progress import Progress
from kdcompress.sweeping._gain import describe_gain, mean_interval, paired_gain
from kdcompress.sweeping._space import Setting, Space
from kdcompress.sweeping._study import Study
from kdcompress.sweeping._trial import Worker


def choose_and_test(name: str, space: Space, study: Study, worker: Worker, progress: Progress) -> dict[str, Any]:
    """Choose the best setting on validation, then test that setting, the baseline and the teacher only.

    Args:
        name: Name of the recipe.
        space: Search space.
        study: The completed study.
        worker: Trains and tests the students.
        progress: Receives a note on the choice.

    Returns:
        `sweep.json` without `seconds`.

    Raises:
        TrainingError: No setting could be trained.
    """
    rows = [{**row, "test": None} for row in study.rows()]
    if space.trials is None:
        grid = {(setting, seed) for setting in space.settings for seed in space.seeds}
        rows = [row for row in rows if (_setting(row), row["seed"]) in grid]
    settings = _settings(rows)
    trained = [summary for summary in settings if summary["val"] is not None]
    if not trained:
        reason = rows[0]["reason"] if rows else "no trial was done"
        raise TrainingError(f"no setting of the sweep could be trained: {reason}")
    best = max(trained, key=lambda summary: (summary["val"]["mean"], -summary["val_loss"]))
    chosen = _setting(best)
    progress.note(f"chosen on validation: {chosen}")
    tested = {seed: worker.test(chosen, seed) for seed in space.seeds}
    baseline = {seed: worker.test(chosen, seed, baseline=True) for seed in space.seeds}
    for row in rows:
        if _setting(row) == chosen:
            row["test"] = tested[row["seed"]]
    gain = paired_gain(list(tested.values()), list(baseline.values()))
    teacher = worker.teacher_test(chosen)
    worker.delete_all_but(chosen, space.seeds)
    return {
        "recipe": name,
        "dataset": worker.data.facts,
        "metric": worker.metric,
        "space": space.to_dict(),
        "trials": rows,
        "settings": settings,
        "best": best,
        "teacher": {"test": teacher},
        "student": {"test": mean_interval(list(tested.values())), "by_seed": list(tested.values())},
        "baseline": {"test": mean_interval(list(baseline.values())), "by_seed": list(baseline.values())},
        "gain": gain,
        "sentence": describe_gain(gain, METRIC_NAMES[worker.metric]),
        "warnings": worker.warnings,
    }


def _settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summarise each setting on validation by the mean over its seeds, or None if one of them failed."""
    by_setting: dict[Setting, list[dict[str, Any]]] = {}
    for row in rows:
        by_setting.setdefault(_setting(row), []).append(row)
    summaries = []
    for setting in sorted(by_setting, key=lambda setting: tuple(map(_sortable, setting.to_dict().values()))):
        members = by_setting[setting]
        reasons = [row["reason"] for row in members if row["reason"]]
        val = None if reasons else mean_interval([row["val"] for row in members])
        loss = None if reasons else sum(row["val_loss"] for row in members) / len(members)
        reason = reasons[0] if reasons else None
        summaries.append({**setting.to_dict(), "val": val, "val_loss": loss, "reason": reason})
    return summaries


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, 0) if value is None else (1, value)


def _setting(row: dict[str, Any]) -> Setting:
    return Setting(row["method"], row["temperature"], row["alpha"])
