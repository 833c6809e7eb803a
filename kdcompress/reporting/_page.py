"""The page of one run, and the environment that every page is made in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress._version import __version__
from kdcompress.reporting import _headline
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Section
from kdcompress.reporting._words import clean
from kdcompress.reporting.sections import (
    agreement,
    confusion,
    curves,
    disagreement,
    latency,
    parity,
    per_class,
    provenance,
    reliability,
    subclasses,
    tradeoff,
)
from kdcompress.verification.origin import synthetic_notice

if TYPE_CHECKING:
    from jinja2 import Environment

_ORDER = (
    curves.section,
    tradeoff.section,
    latency.section,
    per_class.section,
    agreement.section,
    confusion.section,
    reliability.section,
    disagreement.section,
    subclasses.section,
    parity.section,
    provenance.recipe,
    provenance.machine,
    provenance.again,
)


def render(facts: Facts) -> str:
    """The page of a run, one HTML document; the same run gives the same bytes."""
    found = [section for build in _ORDER if (section := build(facts)) is not None]
    return page(
        title=clean(facts.name),
        lead=lead(facts),
        notice=synthetic_notice(facts.manifest.get("dataset", {})),
        warnings=_warnings(facts),
        tiles=_headline.tiles(facts) if facts.metrics else [],
        verdict=_headline.verdict(facts) if facts.measures else "",
        summary=_headline.table(facts) if facts.metrics else None,
        sections=found,
    )


def page(*, sections: list[Section], **parts: Any) -> str:
    """A document of our one look, from its parts."""
    return environment().get_template("report.html.j2").render(sections=sections, version=__version__, **parts)


def environment() -> Environment:
    """Where templates are found; whatever they are given is text, and is escaped, but for our own SVG."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("kdcompress.reporting", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def lead(facts: Facts) -> str:
    """What was distilled from what, on which data, in two sentences."""
    if not facts.recipe:
        return "A run that has hardly begun."
    recipe, data = facts.recipe, facts.manifest.get("dataset", {})
    method = ", ".join(f"{key} {value}" for key, value in recipe["method"].items() if key != "name")
    told = f" ({method})" if method else ""
    name, teacher = recipe["method"]["name"], _teachers(recipe["teacher"])
    how = "trained from the labels alone, beside" if name == "none" else "distilled from"
    by = "" if name == "none" else f" by {name}{told}"
    said = f"{recipe['student']['model']}, {how} {teacher} on {recipe['data']['name']}{by}, seed {recipe['seed']}."
    if data:
        said += _starts(recipe)
        said += (
            f" {data['n_train']:,} images to train on, {data['n_val']:,} to choose epochs, {data['n_test']:,} to test."
        )
    return clean(said)


def _starts(recipe: dict[str, Any]) -> str:
    """What teacher and student started from, if it was not from nothing."""
    named = [("teacher", one) for one in recipe["teacher"].get("members") or [recipe["teacher"]]]
    known = [(role, one["pretrained"]) for role, one in (*named, ("student", recipe["student"])) if "pretrained" in one]
    told = [f"the {role} from {Path(start).name}" for role, start in known if start != "none"]
    return f" Pretrained: {', '.join(told)}." if told else ""


def _teachers(teacher: dict[str, Any]) -> str:
    """What the recipe calls its teacher, or its teachers."""
    return ", ".join(one["model"] for one in teacher.get("members") or [teacher])


def _warnings(facts: Facts) -> list[str]:
    if facts.metrics is None:
        command = f"kdcompress distill {facts.folder}/recipe.toml --out {facts.folder}"
        return [f"This run is not finished: there is no result yet. `{command}` goes on with it."]
    said = synthetic_notice(facts.manifest.get("dataset", {})) is not None  # large, above
    warnings = facts.metrics.get("warnings", [])
    return [clean(warning) for warning in warnings if not (said and warning.startswith("SYNTHETIC"))]
