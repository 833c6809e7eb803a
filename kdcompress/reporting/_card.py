"""Model card of a student in Markdown; the section on intended use is the user's, and is preserved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kdcompress._version import __version__
from kdcompress.formatting import clean, percent, points
from kdcompress.reporting import _headline
from kdcompress.reporting._page import lead, warnings_of
from kdcompress.reporting._parts import Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting.sections import agreement, machines, parity, per_class
from kdcompress.verification.origin import synthetic_notice

if TYPE_CHECKING:
    from jinja2 import Environment

BEGIN, END = "<!-- begin: yours; report keeps what stands here -->", "<!-- end: yours -->"
_PLACEHOLDER = (
    "To be filled in: what the model is for, who uses it, what it must not be used for, and who is responsible for it."
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|&~$!])")  # in Markdown or HTML


class Raw(str):
    """Markdown that is not escaped."""


def render(run: RunData, previous: str | None) -> str | None:
    """Render the model card.

    Args:
        run: Run at any stage.
        previous: An existing card, whose user section is kept.

    Returns:
        The card; None if the existing one has no user section any more, so that it is not to be overwritten.
    """
    user_section = _PLACEHOLDER
    if previous is not None:
        if BEGIN not in previous or END not in previous:
            return None
        user_section = previous.split(BEGIN, 1)[1].split(END, 1)[0].strip("\n")
    return _environment().get_template("model_card.md.j2").render(
        name=run.name, lead=lead(run), begin=Raw(BEGIN), user_section=Raw(user_section), end=Raw(END),
        version=__version__,
        data=[(key, value) for key, value in run.manifest.get("dataset", {}).items()], classes=run.classes,
        warnings=warnings_of(run), limits=_limits(run), tables=_tables(run),
        notice=synthetic_notice(run.manifest.get("dataset", {})),
        tiles=_headline.tiles(run) if run.metrics else [],
        verdict=_headline.verdict(run) if run.test_metrics else "",
        shape=Raw("x".join(str(side) for side in run.input_shape)),
    )  # fmt: skip


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    def escape(value: Any) -> str:
        return value if isinstance(value, Raw) else _SPECIAL.sub(r"\\\1", clean(value))

    loader = PackageLoader("kdcompress.reporting", "templates")
    # Jinja's autoescape knows HTML alone: `finalize` is called with every value that the template prints
    return Environment(
        loader=loader, autoescape=False, finalize=escape, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _tables(run: RunData) -> list[Table]:
    if not run.test_metrics:
        return []
    sections = (per_class.section(run), agreement.section(run), parity.section(run), machines.section(run))
    return [_headline.table(run), *(table for section in sections if section for table in section.tables)]


def _limits(run: RunData) -> list[str]:
    """List the limitations that the run itself shows."""
    limits = ["Measured on the test split of this data set only; other images were not tested."]
    if synthetic_notice(run.manifest.get("dataset", {})):
        limits = ["Measured on SYNTHETIC images only: how the model performs on real ones is unknown."]
    if not run.test_metrics:
        return limits
    n = len(run.finished_outputs.ids)
    limits.append(f"{n:,} test images and one seed: differences within the intervals above may be chance.")
    changes = {name: change for name, change in run.comparison["recall_change"].items() if change is not None}
    worst = min(changes, key=lambda name: changes[name])
    if changes[worst] < 0:
        limits.append(f"Class {worst} lost most against the teacher: {points(changes[worst])} points of recall.")
    recalls = {name: value for name, value in run.test_metrics["student"]["recall"].items() if value is not None}
    weakest = min(recalls, key=lambda name: recalls[name])
    limits.append(f"Class {weakest} has the lowest recall: {percent(recalls[weakest])}.")
    untested = [name for name, value in run.test_metrics["student"]["recall"].items() if value is None]
    if untested:
        limits.append(f"No test image was of {', '.join(untested)}: the model is untested on these classes.")
    if run.bench is None:
        limits.append("Its latency was not measured.")
    return limits
