"""By annotator agreement: where those who know doubt, a model may."""

from __future__ import annotations

from typing import Any

from kdcompress.reporting._dots import dot_rows
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._metric_rows import auc_interval
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._words import MISSING, percent, whole

_TITLE = "By annotator agreement"
_SHOWN = 24  # levels in the figure


def section(facts: Facts) -> Section | None:
    """The metrics level by level; only where the data say how the annotators voted."""
    if not facts.measures or not facts.measures["student"]["by_agreement"]:
        return None
    levels: dict[str, list[dict[str, Any]]] = {role: facts.measures[role]["by_agreement"] for role in facts.roles}
    key = "auc" if facts.metric == "auc" else "accuracy"
    shown = {role: own[:_SHOWN] for role, own in levels.items()}
    values = {role: [None if one[key] is None else 100 * one[key] for one in own] for role, own in shown.items()}
    names = [one["agreement"] for one in shown["student"]]
    word = "AUC" if key == "auc" else "accuracy"
    svg = dot_rows("agreement", f"{word} by agreement of the annotators", f"{word} in %", names, values)
    caption = f"{word} on the test images of each level, the least agreed first."
    return Section("agreement", _TITLE, _words(facts, levels), [Figure(svg, caption)], [_table(facts, levels)])


def _words(facts: Facts, levels: dict[str, list[dict[str, Any]]]) -> list[str]:
    first, counted = levels["student"][0], sum(one["n"] for one in levels["student"])
    said = [
        "A label is what most annotators chose: 4/7 says that of seven, four chose one class. The less they agree, the "
        "less sure is the label itself, and the less a model can be expected to meet it; mistakes weigh most where all "
        "agree."
    ]
    if first["n"] < counted:
        said.append(f"{first['n']:,} of {counted:,} test images are of the least agreed level, {first['agreement']}.")
    if (left := len(facts.finished.ids) - counted) > 0:
        said.append(f"{left:,} test images have no votes and are in no level.")
    return said


def _table(facts: Facts, levels: dict[str, list[dict[str, Any]]]) -> Table:
    binary = "auc" in facts.measures["student"]
    rows = []
    for place in range(len(levels["student"])):
        for role, own in levels.items():
            one = own[place]
            error = MISSING if one["ece"] is None else f"{one['ece']:.4f}"
            more = _binary(one) if binary else []
            rows.append([one["agreement"], role, whole(one["n"]), percent(one["accuracy"]), *more, error])
    added = ["AUC", "95 % interval", "F1", "sensitivity", "specificity"] if binary else []
    head = ["agreement", "model", "images", "accuracy", *added, "calibration error"]
    at = "; sensitivity and specificity at the threshold chosen on validation" if binary else ""
    return Table(f"Metrics on test by agreement{at}", head, rows, names=2)


def _binary(one: dict[str, Any]) -> list[str]:
    rates = [percent(one[key]) for key in ("f1", "sensitivity", "specificity")]
    return [percent(one["auc"]), auc_interval(one), *rates]
