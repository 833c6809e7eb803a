"""Subclasses: their use by teacher and student, example images, and agreement with known subclasses."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.formatting import MISSING, clean, percent, truncate
from kdcompress.metrics.subclasses import subclass_usage
from kdcompress.reporting._parts import Picture, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting.sections.disagreement import TINY, png_uri

_MAX_PICTURES = 120


def section(run: RunData) -> Section | None:
    """Build the section; None for a run without subclasses."""
    outputs = run.subclasses
    if outputs is None:
        return None
    usage = {
        role: subclass_usage(getattr(outputs, role), outputs.sizes, outputs.known) for role in ("teacher", "student")
    }
    owner = np.repeat(np.arange(len(outputs.sizes)), outputs.sizes)
    names = _names(run, outputs.sizes)
    rows = []
    for index, name in enumerate(names):
        within = index - int(np.searchsorted(owner, owner[index]))
        shares = [usage[role]["shares"][owner[index]][within] for role in usage]
        state = "not in use" if index in usage["teacher"]["died"] else ""
        rows.append([clean(run.class_name(int(owner[index]))), clean(name), *map(percent, shares), state])
    head = ["class", "subclass", "teacher", "student", ""]
    tables = [Table("Share of the test images assigned to the class", head, rows, names=2), _utilisation(run, usage)]
    return Section("subclasses", "Subclasses", _text(usage), tables=tables, pictures=_pictures(run, names))


def _text(usage: dict[str, dict[str, Any]]) -> list[str]:
    unused = len(usage["teacher"]["died"])
    verb = "is" if unused == 1 else "are"
    text = ["Every subclass is in use." if not unused else f"{unused} of the teacher's subclasses {verb} not in use."]
    if usage["teacher"]["agreement"] is not None:
        shares = [f"the {role}'s on {percent(usage[role]['agreement'])}" for role in usage]
        text.append(f"Matched one to one, subclasses are the known ones: {' of the test images, '.join(shares)}.")
    text.append("The images are those of which the teacher is most confident.")
    return text


def _utilisation(run: RunData, usage: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for index, name in enumerate(run.classes):
        values = [usage[role]["utilisation"][index] for role in usage]
        rows.append([clean(name), *(MISSING if value is None else f"{value:.3f}" for value in values)])
    return Table("Utilisation: entropy of the shares, 1 if all subclasses are used equally", ["class", *usage], rows)


def _names(run: RunData, sizes: np.ndarray) -> list[str]:
    known = run.manifest.get("subclasses")
    if known and [len(inside) for inside in known] == sizes.tolist() and run.recipe["method"]["subclasses"] == "known":
        return [name for inside in known for name in inside]
    return [f"{run.class_name(index)}.{number}" for index, size in enumerate(sizes) for number in range(1, size + 1)]


def _pictures(run: RunData, names: list[str]) -> list[Picture]:
    outputs = run.subclasses
    assert outputs is not None
    pictures = []
    for image, row, index in list(zip(outputs.images, outputs.rows, outputs.shown, strict=True))[:_MAX_PICTURES]:
        label = run.class_name(int(run.finished_outputs.labels[row]))
        lines = [f"subclass {truncate(names[index], 24)}", f"label: {truncate(label, 24)}"]
        tiny = max(image.shape[:2]) <= TINY
        pictures.append(Picture(png_uri(image), tiny, clean(run.finished_outputs.ids[row]), lines))
    return pictures
