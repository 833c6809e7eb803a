"""Per-class change: the mean may stand still while a class falls."""

from __future__ import annotations

import numpy as np

from kdcompress.reporting._dots import dot_rows
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._words import clean, percent, points, whole

_TITLE = "What each class gained or lost"
_SHOWN = 24  # classes in the figure


def section(facts: Facts) -> Section | None:
    """Recall by class of all models, and how the student differs from the teacher."""
    if facts.outputs is None:
        return None
    changes = facts.comparison["recall_change"]
    known = sorted((name for name in changes if changes[name] is not None), key=lambda name: (changes[name], name))
    half = _SHOWN // 2
    shown = known if len(known) <= _SHOWN else [*known[:half], *known[-half:]]
    values = {role: [100 * facts.measures[role]["recall"][name] for name in shown] for role in facts.roles}
    caption = "Recall of each class, those that lost most first."
    if len(shown) < len(known):
        caption += f" Of {len(known)} classes, the {half} that lost most and the {half} that lost least."
    svg = dot_rows(
        "per-class", "Recall of each class by model", "recall in % of the class's test images", shown, values
    )
    return Section("per-class", _TITLE, [_words(changes, known)], [Figure(svg, caption)], [_table(facts, changes)])


def _words(changes: dict[str, float], known: list[str]) -> str:
    if not known or changes[known[0]] >= 0:
        return "No class lost recall against the teacher."
    fell = sum(changes[name] < 0 for name in known)
    return (
        f"{fell} of {len(known)} classes lost recall against the teacher; most of all {clean(known[0])}: "
        f"{points(changes[known[0]])} points."
    )


def _table(facts: Facts, changes: dict[str, float | None]) -> Table:
    counts = np.bincount(facts.finished.labels, minlength=len(facts.classes))
    rows = []
    for name, count in zip(facts.classes, counts, strict=True):
        recalls = [percent(facts.measures[role]["recall"][name]) for role in facts.roles]
        rows.append([clean(name), whole(float(count)), *recalls, points(changes[name])])
    head = ["class", "test images", *facts.roles, "change, points"]
    return Table("Recall by class; the change is from teacher to student", head, rows)
