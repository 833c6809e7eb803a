"""Several runs beside each other: what they were told differently, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.errors import RunError
from kdcompress.files import write_text
from kdcompress.reporting import _headline, _page
from kdcompress.reporting._dots import dot_rows
from kdcompress.reporting._facts import ROLES, Facts, gather
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._words import MISSING, clean, digits, percent, points, short
from kdcompress.runs.folder import RunFolder
from kdcompress.verification.origin import synthetic_notice

PAGE = "comparison.html"


def report_runs(runs: Sequence[RunFolder], out: Path) -> dict[str, Any]:
    """Write the comparison of finished runs into `out`; the document that `kdcompress report --json` prints.

    Errors: RunError for a run that is not finished, or of which a file is not what the run wrote.
    """
    facts = [gather(run) for run in runs]
    for one in facts:
        if not one.measures or one.metrics is None:
            raise RunError(f"run {one.folder} is not finished; give its `kdcompress distill` command again")
    write_text(out / PAGE, render(facts))
    results = [{"run": one.folder, "ratios": _headline.ratios(one), "metrics": one.measures} for one in facts]
    return {"report": str(out / PAGE), "runs": results}


def render(facts: Sequence[Facts]) -> str:
    """The page of several runs, one HTML document."""
    sections = [_quality(facts), _costs(facts), _recipes(facts)]
    return _page.page(
        title=f"{len(facts)} runs", lead=clean(", ".join(names(facts))), notice=_notice(facts),
        warnings=_warnings(facts), tiles=[], verdict="", summary=None, sections=sections,
    )  # fmt: skip


def names(facts: Sequence[Facts]) -> list[str]:
    """The runs' names; their whole paths where two have one name."""
    own = [one.name for one in facts]
    return own if len(set(own)) == len(own) else [one.folder for one in facts]


def _notice(facts: Sequence[Facts]) -> str | None:
    """Said of the whole page as soon as one run is of synthetic images."""
    found = {name: synthetic_notice(one.manifest["dataset"]) for name, one in zip(names(facts), facts, strict=True)}
    said = [name for name, notice in found.items() if notice]
    if not said:
        return None
    which = "" if len(said) == len(facts) else f" (in {clean(', '.join(said))})"
    return f"{found[said[0]]}{which}"


def _warnings(facts: Sequence[Facts]) -> list[str]:
    said = []
    if len({one.manifest["dataset"]["fingerprint"] for one in facts}) > 1:
        said.append("These runs are of different data: their metrics cannot be compared with each other.")
    if len({one.metric for one in facts}) > 1:
        said.append("These runs have different metrics: accuracy is shown of all.")
    return said


def _metric(facts: Sequence[Facts]) -> str:
    found = {one.metric for one in facts}
    return found.pop() if len(found) == 1 else "accuracy"


def _quality(facts: Sequence[Facts]) -> Section:
    metric, own = _metric(facts), names(facts)
    scores: list[dict[str, float | None]] = [
        {role: one.measures.get(role, {}).get(metric) for role in ROLES} for one in facts
    ]
    roles = [role for role in ROLES if any(score[role] is not None for score in scores)]
    values = {role: [_hundredfold(score[role]) for score in scores] for role in roles}
    title = f"{'AUC' if metric == 'auc' else metric.capitalize()} on test"
    svg = dot_rows("quality", f"{title} of every run", f"{title} in %", own, values)
    rows = []
    for name, score in zip(own, scores, strict=True):
        gain = _minus(score["student"], score["baseline"])
        drop = _minus(score["student"], score["teacher"])
        rows.append([clean(name), *(percent(score[role]) for role in roles), points(drop), points(gain)])
    head = ["run", *roles, "student − teacher", "student − baseline"]
    text = ["A baseline is the same student trained without the teacher. Differences are in points."]
    return Section("quality", title, text, [Figure(svg, title)], [Table(title, head, rows)])


def _costs(facts: Sequence[Facts]) -> Section:
    rows, keys = [], ("params", "flops", "bytes", "latency")
    for name, one in zip(names(facts), facts, strict=True):
        ratios = _headline.ratios(one)
        shown = [MISSING if ratios[key] is None else _times(ratios[key]) for key in keys]
        exact = "yes" if one.verified else f"kdcompress verify {one.folder}"
        rows.append([clean(name), *shown, exact])
    head = ["run", "parameters", "FLOPs", "bytes", "latency", "verified"]
    text = ["Student / teacher: below 1 the student is smaller or faster."]
    return Section("costs", "What got smaller", text, tables=[Table("Ratios", head, rows)])


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _hundredfold(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _times(ratio: float | None) -> str:
    return MISSING if ratio is None else f"{digits(ratio)}{' GREW' if ratio > 1 else ''}"


def _recipes(facts: Sequence[Facts]) -> Section:
    flat = [_flat(one.recipe) for one in facts]
    keys = dict.fromkeys(key for one in flat for key in one)
    differing = [key for key in keys if len({repr(one.get(key)) for one in flat}) > 1]
    rows = [[key, *(short(one.get(key, MISSING), 40) for one in flat)] for key in differing]
    if not rows:
        return Section("recipes", "What they were told", ["All have the same recipe."])
    table = Table("Keys in which the recipes differ", ["key", *(clean(name) for name in names(facts))], rows)
    return Section("recipes", "What they were told", tables=[table])


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found
