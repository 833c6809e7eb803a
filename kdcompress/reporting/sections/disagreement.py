"""Images of test on which student and teacher answer otherwise."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.comparison import disagreements
from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Picture, Section, Table
from kdcompress.reporting._words import clean, percent, short

_SHOWN = 24
_LARGEST = 112  # pixels of a thumbnail's longer side
TINY = 64  # pixels up to which they are to be seen one by one


def section(facts: Facts) -> Section | None:
    """The images of which both are surest, with what each takes them for."""
    if facts.outputs is None:
        return None
    ids = facts.outputs.ids
    place_of = {str(name): place for place, name in enumerate(ids)}
    kept = facts.disagreements
    logits = facts.outputs.logits
    rows = [place_of[str(name)] for name in kept.ids] if kept else []
    rows = rows or disagreements(logits["teacher"], logits["student"], _SHOWN).tolist()
    count = int(np.sum(facts.answers("teacher") != facts.answers("student")))
    text = [f"They differ on {count:,} of {len(ids):,} test images; here are those of which both are surest."]
    pictures = [_picture(facts, row, kept.images[i]) for i, row in enumerate(rows)] if kept else []
    missing = [] if kept or not count else [
        "The images themselves are not here: the run was made before runs kept them, and a report opens no data set."
    ]  # fmt: skip
    tables = [_table(facts, rows)] if rows else []
    title = "Where student and teacher disagree"
    return Section("disagreement", title, text if count else ["They agree on every test image."],
                   tables=tables, pictures=pictures, missing=missing)  # fmt: skip


def png_uri(image: NDArray[np.uint8]) -> str:
    """An image (H, W, C) of 1, 3 or 4 channels (of others the first) as a PNG data URI, at most 112 pixels a side."""
    from PIL import Image

    pixels = image[..., 0] if image.shape[-1] not in (3, 4) else image
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((_LARGEST, _LARGEST))
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _picture(facts: Facts, row: int, image: NDArray[np.uint8]) -> Picture:
    truth = facts.class_name(int(facts.finished.labels[row]))
    lines = [f"is {short(truth, 24)}"]
    for role in ("teacher", "student"):
        answer = int(facts.answers(role)[row])
        mark = "✓" if answer == facts.finished.labels[row] else "✗"
        lines.append(f"{role}: {short(facts.class_name(answer), 24)} {mark}")
    tiny = max(image.shape[:2]) <= TINY
    return Picture(png_uri(image), tiny, clean(facts.finished.ids[row]), lines)


def _table(facts: Facts, rows: list[int]) -> Table:
    found = []
    for row in rows:
        cells = [clean(facts.finished.ids[row]), clean(facts.class_name(int(facts.finished.labels[row])))]
        for role in ("teacher", "student"):
            cells.append(clean(facts.class_name(int(facts.answers(role)[row]))))
        found.append([*cells, *(percent(float(facts.confidence(role)[row])) for role in ("teacher", "student"))])
    head = ["image", "truth", "teacher's answer", "student's answer", "teacher's confidence", "student's confidence"]
    return Table("The images, and how sure each was", head, found, names=4)
