"""Subclasses: how they are used, which died, what lies in them, and whether people know them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.metrics.subclasses import subclass_usage
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Picture, Section, Table
from kdcompress.reporting._words import MISSING, clean, percent, short
from kdcompress.reporting.sections.disagreement import TINY, png_uri

_PICTURES = 120  # at most


def section(facts: Facts) -> Section | None:
    """Of a run by subclasses alone."""
    kept = facts.subclasses
    if kept is None:
        return None
    found = {role: subclass_usage(getattr(kept, role), kept.sizes, kept.known) for role in ("teacher", "student")}
    owner = np.repeat(np.arange(len(kept.sizes)), kept.sizes)
    names = _names(facts, kept.sizes)
    rows = []
    for number, name in enumerate(names):
        place = number - int(np.searchsorted(owner, owner[number]))
        shares = [found[role]["shares"][owner[number]][place] for role in found]
        state = "not in use" if number in found["teacher"]["died"] else ""
        rows.append([clean(facts.class_name(int(owner[number]))), clean(name), *map(percent, shares), state])
    head = ["class", "subclass", "teacher", "student", ""]
    tables = [Table("Share of the test images assigned to the class", head, rows, names=2), _use(facts, found)]
    return Section("subclasses", "Subclasses", _words(found), tables=tables, pictures=_pictures(facts, names))


def _words(found: dict[str, dict[str, Any]]) -> list[str]:
    died = len(found["teacher"]["died"])
    verb = "is" if died == 1 else "are"
    said = ["Every subclass is in use." if not died else f"{died} of the teacher's subclasses {verb} not in use."]
    if found["teacher"]["agreement"] is not None:
        shown = [f"the {role}'s on {percent(found[role]['agreement'])}" for role in found]
        said.append(f"Matched one to one, subclasses are the known ones: {' of the test images, '.join(shown)}.")
    said.append("The images are those that the teacher is surest of.")
    return said


def _use(facts: Facts, found: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for index, name in enumerate(facts.classes):
        spread = [found[role]["utilisation"][index] for role in found]
        rows.append([clean(name), *(MISSING if one is None else f"{one:.3f}" for one in spread)])
    return Table("Utilisation: entropy of the shares, 1 if all subclasses are used alike", ["class", *found], rows)


def _names(facts: Facts, sizes: np.ndarray) -> list[str]:
    known = facts.manifest.get("subclasses")
    if (
        known
        and [len(inside) for inside in known] == sizes.tolist()
        and facts.recipe["method"]["subclasses"] == "known"
    ):
        return [name for inside in known for name in inside]
    return [f"{facts.class_name(index)}.{place}" for index, size in enumerate(sizes) for place in range(1, size + 1)]


def _pictures(facts: Facts, names: list[str]) -> list[Picture]:
    kept = facts.subclasses
    assert kept is not None
    pictures = []
    for image, row, number in list(zip(kept.images, kept.rows, kept.shown, strict=True))[:_PICTURES]:
        truth = facts.class_name(int(facts.finished.labels[row]))
        lines = [f"subclass {short(names[number], 24)}", f"is {short(truth, 24)}"]
        tiny = max(image.shape[:2]) <= TINY
        pictures.append(Picture(png_uri(image), tiny, clean(facts.finished.ids[row]), lines))
    return pictures
