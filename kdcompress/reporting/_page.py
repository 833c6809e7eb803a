"""HTML page of one run, and the template that all pages share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress._version import __version__
from kdcompress.formatting import clean, sentence
from kdcompress.reporting import _headline
from kdcompress.reporting._names import members, model_name, shorten_paths, teacher_names
from kdcompress.reporting._parts import Section
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._templates import template_environment
from kdcompress.reporting.sections import (
    agreement,
    assistants,
    compression,
    confusion,
    curves,
    disagreement,
    latency,
    layers,
    machines,
    parity,
    per_class,
    provenance,
    reliability,
    students,
    subclasses,
    tradeoff,
)
from kdcompress.verification.origin import synthetic_notice

_ORDER = (
    compression.section,
    students.section,
    assistants.section,
    curves.section,
    tradeoff.section,
    latency.section,
    machines.section,
    per_class.section,
    agreement.section,
    confusion.section,
    reliability.section,
    disagreement.section,
    subclasses.section,
    parity.section,
    layers.section,
    provenance.recipe,
    provenance.machine,
    provenance.reproduction,
)


def render(run: RunData) -> str:
    """Render the page of a run.

    Args:
        run: Run at any stage.

    Returns:
        One HTML document; equal runs give equal bytes.
    """
    return render_page(
        title=clean(run.name),
        lead=lead(run),
        notice=synthetic_notice(run.manifest.get("dataset", {})),
        warnings=_warnings(run),
        tiles=_headline.tiles(run) if run.metrics else [],
        verdict=_headline.verdict(run) if run.test_metrics else "",
        summary=_headline.table(run) if run.metrics else None,
        sections=[section for build in _ORDER if (section := build(run)) is not None],
    )


def render_page(*, sections: list[Section], **parts: Any) -> str:
    """Render the page template.

    Args:
        sections: Sections, in their order.
        **parts: The template's other variables: title, lead, notice, warnings, tiles, verdict, summary.

    Returns:
        One HTML document.
    """
    return template_environment().get_template("report.html.j2").render(sections=sections, version=__version__, **parts)


def lead(run: RunData) -> str:
    """Describe a run in a few sentences: student, teacher, method and data.

    Args:
        run: Run at any stage.

    Returns:
        Plain text.
    """
    if not run.recipe:
        return "This run has only just begun."
    recipe, data = run.recipe, run.manifest.get("dataset", {})
    student = model_name(recipe["student"]["model"])
    settings = ", ".join(f"{key} {value}" for key, value in recipe["method"].items() if key != "name")
    name, teachers = recipe["method"]["name"], teacher_names(recipe)
    how = "trained from the labels alone, beside" if name == "none" else "distilled from"
    method = "" if name == "none" else f" by {name}" + (f" ({settings})" if settings else "")
    text = f"{student}, {how} {teachers} on {recipe['data']['name']}{method}, seed {recipe['seed']}."
    if run.compression:
        text += f" Compressed: {', '.join(run.compression['steps'])}."
    if data:
        text += _initialization(recipe)
        text += f" {training_images(data)}, {data['n_val']:,} to choose epochs, {data['n_test']:,} to test."
    return clean(text)


def training_images(data: dict[str, Any]) -> str:
    """Count the images to train on, with labels and without, in words.

    Args:
        data: `dataset` of a run or sweep.
    """
    unlabelled = data.get("n_unlabelled")
    return f"{data['n_train']:,} images to train on{f' and {unlabelled:,} without labels' if unlabelled else ''}"


def _initialization(recipe: dict[str, Any]) -> str:
    """Describe the pretrained weights of teachers and student, if there are any."""
    models = [*(("teacher", member) for member in members(recipe)), ("student", recipe["student"])]
    weights = [(role, model["pretrained"]) for role, model in models if model.get("pretrained", "none") != "none"]
    sources = [f"the {role} from {Path(source).name}" for role, source in weights]
    return f" Pretrained: {', '.join(sources)}." if sources else ""


def warnings_of(run: RunData) -> list[str]:
    """List the warnings of a run as sentences, which name models by their names and not by their paths.

    Args:
        run: Run at any stage.
    """
    warnings = (run.metrics or {}).get("warnings", [])
    return [sentence(shorten_paths(warning, run.recipe)) for warning in warnings]


def _warnings(run: RunData) -> list[str]:
    if run.metrics is None:
        command = f"kdcompress distill {run.folder}/recipe.toml --out {run.folder}"
        return [f"This run is not finished: there is no result yet. `{command}` goes on with it."]
    noticed = synthetic_notice(run.manifest.get("dataset", {})) is not None  # it is already at the top of the page
    return [warning for warning in warnings_of(run) if not (noticed and warning.startswith("SYNTHETIC"))]
