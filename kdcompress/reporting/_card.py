"""The model card: what a student is, in Markdown; its intended use is the user's to write, and is kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kdcompress._version import __version__
from kdcompress.reporting import _headline
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._page import lead
from kdcompress.reporting._parts import Table
from kdcompress.reporting._words import clean, percent, points
from kdcompress.reporting.sections import agreement, parity, per_class
from kdcompress.verification.origin import synthetic_notice

if TYPE_CHECKING:
    from jinja2 import Environment

BEGIN, END = "<!-- begin: yours; report keeps what stands here -->", "<!-- end: yours -->"
_TO_FILL = "To be filled in: what the model is for, who uses it, what it must not be used for, and who answers for it."
# What Markdown or HTML could take for a mark
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|&~$!])")


class Raw(str):
    """Markdown that is not ours to escape."""


def render(facts: Facts, former: str | None) -> str | None:
    """The card; the user's part of the `former` one is kept. None if that has no such part: it is the user's own."""
    yours = _TO_FILL
    if former is not None:
        if BEGIN not in former or END not in former:
            return None
        yours = former.split(BEGIN, 1)[1].split(END, 1)[0].strip("\n")
    return _environment().get_template("model_card.md.j2").render(
        name=facts.name, lead=lead(facts), begin=Raw(BEGIN), yours=Raw(yours), end=Raw(END), version=__version__,
        data=[(key, value) for key, value in facts.manifest.get("dataset", {}).items()], classes=facts.classes,
        warnings=(facts.metrics or {}).get("warnings", []), limits=_limits(facts), tables=_tables(facts),
        notice=synthetic_notice(facts.manifest.get("dataset", {})),
        tiles=_headline.tiles(facts) if facts.metrics else [],
        verdict=_headline.verdict(facts) if facts.measures else "",
        shape=Raw("x".join(str(side) for side in facts.input_shape)),
    )  # fmt: skip


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    def escaped(value: Any) -> str:
        return value if isinstance(value, Raw) else _MARKS.sub(r"\\\1", clean(value))

    loader = PackageLoader("kdcompress.reporting", "templates")
    # Markdown has its own way to escape: `finalize` sees every value that a template puts out
    return Environment(
        loader=loader, autoescape=False, finalize=escaped, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _tables(facts: Facts) -> list[Table]:
    if not facts.measures:
        return []
    by_class = per_class.section(facts)
    by_agreement = agreement.section(facts)
    files = parity.section(facts).tables
    parts = (by_class, by_agreement)
    return [_headline.table(facts), *(table for part in parts if part for table in part.tables), *files]


def _limits(facts: Facts) -> list[str]:
    """What the run itself says against the model."""
    said = ["Measured on the test split of this data set alone; other images were not tried."]
    if synthetic_notice(facts.manifest.get("dataset", {})):
        said = ["Measured on SYNTHETIC images alone: it is not known what the model does on real ones."]
    if not facts.measures:
        return said
    said.append(
        f"{len(facts.finished.ids):,} test images and one seed: differences within the intervals above may be chance."
    )
    changes = {name: change for name, change in facts.comparison["recall_change"].items() if change is not None}
    worst = min(changes, key=lambda name: changes[name])
    if changes[worst] < 0:
        said.append(f"Class {worst} lost most against the teacher: {points(changes[worst])} points of recall.")
    recalls = {name: value for name, value in facts.measures["student"]["recall"].items() if value is not None}
    weakest = min(recalls, key=lambda name: recalls[name])
    said.append(f"Class {weakest} is recognised least: recall {percent(recalls[weakest])}.")
    unseen = [name for name, value in facts.measures["student"]["recall"].items() if value is None]
    if unseen:
        said.append(f"No test image was of {', '.join(unseen)}: nothing is known of them.")
    if facts.bench is None:
        said.append("Its latency was not measured.")
    return said
