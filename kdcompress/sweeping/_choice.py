"""Result of a sweep: the setting chosen on validation, and its test metric against the baseline's."""

from __future__ import annotations

from typing import Any

from kdcompress.errors import TrainingError
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.progress import Progress
from kdcompress.sweeping._comparison import compare_settings
from kdcompress.sweeping._gain import describe_gain, mean_interval, paired_gain
from kdcompress.sweeping._space import Setting, Space
from kdcompress.sweeping._study import Study, setting_of
from kdcompress.sweeping._trial import Worker
from kdcompress.sweeping._worth import judge_worth

_UNTAUGHT = "best on validation is the student without a teacher, so there is no gain to measure"


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
    rows = _rows(space, study)
    settings, best = _settings(rows), _best(rows)
    chosen = setting_of(best)
    progress.note(f"chosen on validation: {chosen}")
    found = _test(chosen, study, worker)
    tested = dict(zip(space.seeds, found["student"], strict=True))
    for row in rows:
        if setting_of(row) == chosen:
            row["test"] = tested[row["seed"]]
    gain = paired_gain(found["student"], found["baseline"])
    facts, taught = worker.data.facts, chosen.recipe(worker.base, space.seeds[0]).method.needs_targets
    result = {
        "recipe": name,
        "dataset": facts,
        "metric": worker.metric,
        "space": space.to_dict(),
        "trials": rows,
        "settings": settings,
        "best": best,
        "comparison": compare_settings(_by_seed(rows, space.seeds), chosen, facts["n_val"]),
        "left_out": [{"method": method, "reason": reason} for method, reason in space.left_out.items()],
        "teacher": {"test": found["teacher"][0]},
        **{role: {"test": mean_interval(found[role]), "by_seed": found[role]} for role in ("student", "baseline")},
        "gain": gain,
        "sentence": describe_gain(gain, METRIC_NAMES[worker.metric]) if taught else _UNTAUGHT,
        "warnings": worker.warnings,
    }
    return {**result, "worth": judge_worth(result)}


def test_chosen(space: Space, study: Study, worker: Worker) -> None:
    """Take part in the tests of the setting that is chosen on validation, and in the training of its baselines.

    Args:
        space: Search space.
        study: The completed study.
        worker: Trains and tests the students.

    Raises:
        TrainingError: No setting could be trained.
    """
    _test(setting_of(_best(_rows(space, study))), study, worker)


def delete_others(result: dict[str, Any], space: Space, worker: Worker) -> None:
    """Delete the models of all settings but the chosen one, whose results the study keeps.

    Args:
        result: What `choose_and_test` returned.
        space: Search space.
        worker: Has the models.
    """
    worker.delete_all_but(setting_of(result["best"]), space.seeds)


def _test(chosen: Setting, study: Study, worker: Worker) -> dict[str, list[float]]:
    return study.test(chosen, worker.test, worker.has)


def _rows(space: Space, study: Study) -> list[dict[str, Any]]:
    """Return the results of the sweep's own settings, not yet tested."""
    rows = [{**row, "test": None} for row in study.rows()]
    if space.trials is None:
        grid = {(setting, seed) for setting in space.settings for seed in space.seeds}
        rows = [row for row in rows if (setting_of(row), row["seed"]) in grid]
    return rows


def _by_seed(rows: list[dict[str, Any]], seeds: tuple[int, ...]) -> dict[Setting, list[float]]:
    """Return the metric on validation by setting, in the order of the seeds, of those that were trained with all."""
    found: dict[Setting, dict[int, float]] = {}
    for row in rows:
        if row["val"] is not None:
            found.setdefault(setting_of(row), {})[row["seed"]] = row["val"]
    return {setting: [values[seed] for seed in seeds] for setting, values in found.items() if len(values) == len(seeds)}


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    trained = [summary for summary in _settings(rows) if summary["val"] is not None]
    if not trained:
        reason = rows[0]["reason"] if rows else "no trial was done"
        raise TrainingError(f"no setting of the sweep could be trained: {reason}")
    return max(trained, key=lambda summary: (summary["val"]["mean"], -summary["val_loss"]))


def _settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Summarise each setting on validation by the mean over its seeds, or None if one of them failed."""
    by_setting: dict[Setting, list[dict[str, Any]]] = {}
    for row in rows:
        by_setting.setdefault(setting_of(row), []).append(row)
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
