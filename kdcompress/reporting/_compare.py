"""Comparison of several runs on one page: quality, costs, and the differences of their recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.errors import RunError
from kdcompress.files import write_text
from kdcompress.formatting import MISSING, clean, digits, grew, percent, points, truncate
from kdcompress.reporting import _headline, _page
from kdcompress.reporting._dot_plot import dot_plot
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import ROLES, RunData, load_run_data
from kdcompress.runs.folder import RunFolder
from kdcompress.verification.origin import synthetic_notice

PAGE = "comparison.html"


def report_runs(folders: Sequence[RunFolder], out: Path) -> dict[str, Any]:
    """Write the comparison of finished runs.

    Args:
        folders: Folders of the runs.
        out: Folder to write into.

    Returns:
        The document that `kdcompress report --json` prints.

    Raises:
        RunError: A run is not finished, or one of its files differs from what the run wrote.
    """
    runs = [load_run_data(folder) for folder in folders]
    for run in runs:
        if not run.test_metrics or run.metrics is None:
            raise RunError(f"run {run.folder} is not finished; give its `kdcompress distill` command again")
    write_text(out / PAGE, render(runs))
    results = [{"run": run.folder, "ratios": _headline.ratios(run), "metrics": run.test_metrics} for run in runs]
    return {"report": str(out / PAGE), "runs": results}


def render(runs: Sequence[RunData]) -> str:
    """Render the page that compares finished runs.

    Args:
        runs: The runs, in the order in which they are shown.

    Returns:
        One HTML document; equal runs give equal bytes.
    """
    sections = [_quality(runs), _costs(runs), _recipes(runs)]
    return _page.render_page(
        title=f"{len(runs)} runs", lead=clean(", ".join(names(runs))), notice=_notice(runs),
        warnings=_warnings(runs), tiles=[], verdict="", summary=None, sections=sections,
    )  # fmt: skip


def names(runs: Sequence[RunData]) -> list[str]:
    """Return the names of the runs, or their whole paths if two share a name."""
    short_names = [run.name for run in runs]
    return short_names if len(set(short_names)) == len(short_names) else [run.folder for run in runs]


def _notice(runs: Sequence[RunData]) -> str | None:
    """Compose the notice that all or some runs are of synthetic images."""
    notices = {name: synthetic_notice(run.manifest["dataset"]) for name, run in zip(names(runs), runs, strict=True)}
    synthetic = [name for name, notice in notices.items() if notice]
    if not synthetic:
        return None
    scope = "" if len(synthetic) == len(runs) else f" (in {clean(', '.join(synthetic))})"
    return f"{notices[synthetic[0]]}{scope}"


def _warnings(runs: Sequence[RunData]) -> list[str]:
    warnings = []
    if len({run.manifest["dataset"]["fingerprint"] for run in runs}) > 1:
        warnings.append("These runs used different data: their metrics cannot be compared with each other.")
    if len({run.metric for run in runs}) > 1:
        warnings.append("These runs have different metrics: accuracy is shown for all.")
    return warnings


def _metric(runs: Sequence[RunData]) -> str:
    metrics = {run.metric for run in runs}
    return metrics.pop() if len(metrics) == 1 else "accuracy"


def _quality(runs: Sequence[RunData]) -> Section:
    metric, labels = _metric(runs), names(runs)
    scores: list[dict[str, float | None]] = [
        {role: run.test_metrics.get(role, {}).get(metric) for role in ROLES} for run in runs
    ]
    roles = [role for role in ROLES if any(score[role] is not None for score in scores)]
    values = {role: [_in_percent(score[role]) for score in scores] for role in roles}
    title = f"{'AUC' if metric == 'auc' else metric.capitalize()} on test"
    svg = dot_plot("quality", f"{title} of every run", f"{title} in %", labels, values)
    rows = []
    for name, score in zip(labels, scores, strict=True):
        gain = _difference(score["student"], score["baseline"])
        drop = _difference(score["student"], score["teacher"])
        rows.append([clean(name), *(percent(score[role]) for role in roles), points(drop), points(gain)])
    head = ["run", *roles, "student − teacher", "student − baseline"]
    text = ["A baseline is the same student trained without the teacher. Differences are in points."]
    return Section("quality", title, text, [Figure(svg, title)], [Table(title, head, rows)])


def _costs(runs: Sequence[RunData]) -> Section:
    rows, keys = [], ("params", "flops", "bytes", "latency")
    for name, run in zip(names(runs), runs, strict=True):
        ratios = _headline.ratios(run)
        verified = "yes" if run.verified else f"kdcompress verify {run.folder}"
        rows.append([clean(name), *(_ratio(ratios[key]) for key in keys), verified])
    head = ["run", "parameters", "FLOPs", "bytes", "latency", "verified"]
    text = ["Student / teacher: below 1 the student is smaller or faster."]
    return Section("costs", "Costs", text, tables=[Table("Ratios", head, rows)])


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _in_percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _ratio(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{digits(ratio)}{' GREW' if grew(ratio) else ''}"


def _recipes(runs: Sequence[RunData]) -> Section:
    recipes = [_flatten(run.recipe) for run in runs]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    differing = [key for key in keys if len({repr(recipe.get(key)) for recipe in recipes}) > 1]
    rows = [[key, *(truncate(recipe.get(key, MISSING), 40) for recipe in recipes)] for key in differing]
    if not rows:
        return Section("recipes", "Recipes", ["All runs have the same recipe."])
    table = Table("Keys in which the recipes differ", ["key", *(clean(name) for name in names(runs))], rows)
    return Section("recipes", "Recipes", tables=[table])


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat
