"""Test images on which the predictions of student and teacher differ."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray

from kdcompress.formatting import clean, percent, truncate
from kdcompress.metrics.comparison import disagreements
from kdcompress.reporting._parts import Picture, Section, Table
from kdcompress.reporting._run_data import RunData

TINY = 64  # longest side in pixels up to which an image is enlarged without smoothing
_MAX_IMAGES = 24
_THUMBNAIL = 112  # longest side in pixels


def section(run: RunData) -> Section | None:
    """Build the section: the most confident disagreements; None for an unfinished run."""
    if run.outputs is None:
        return None
    ids = run.outputs.ids
    row_of = {str(name): row for row, name in enumerate(ids)}
    stored = run.disagreements
    logits = run.outputs.logits
    rows = [row_of[str(name)] for name in stored.ids] if stored else []
    rows = rows or disagreements(logits["teacher"], logits["student"], _MAX_IMAGES).tolist()
    count = int(np.sum(run.predictions("teacher") != run.predictions("student")))
    text = [f"They differ on {count:,} of {len(ids):,} test images; these are the most confident disagreements."]
    pictures = [_picture(run, row, stored.images[i]) for i, row in enumerate(rows)] if stored else []
    missing = [] if stored or not count else [
        "The images are not shown: the run was made before runs stored them, and a report opens no data set."
    ]  # fmt: skip
    tables = [_table(run, rows)] if rows else []
    title = "Where student and teacher disagree"
    return Section("disagreement", title, text if count else ["They agree on every test image."],
                   tables=tables, pictures=pictures, missing=missing)  # fmt: skip


def png_uri(image: NDArray[np.uint8]) -> str:
    """Encode an image as a PNG data URI of at most 112 pixels a side.

    Args:
        image: (H, W, C); unless C is 3 or 4, only the first channel is used.

    Returns:
        The data URI.
    """
    from PIL import Image

    pixels = image[..., 0] if image.shape[-1] not in (3, 4) else image
    thumbnail = Image.fromarray(np.ascontiguousarray(pixels))
    thumbnail.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    thumbnail.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _picture(run: RunData, row: int, image: NDArray[np.uint8]) -> Picture:
    label = int(run.finished_outputs.labels[row])
    lines = [f"label: {truncate(run.class_name(label), 24)}"]
    for role in ("teacher", "student"):
        prediction = int(run.predictions(role)[row])
        lines.append(f"{role}: {truncate(run.class_name(prediction), 24)} {'✓' if prediction == label else '✗'}")
    tiny = max(image.shape[:2]) <= TINY
    return Picture(png_uri(image), tiny, clean(run.finished_outputs.ids[row]), lines)


def _table(run: RunData, rows: list[int]) -> Table:
    outputs, roles = run.finished_outputs, ("teacher", "student")
    lines = []
    for row in rows:
        classes = [outputs.labels[row], *(run.predictions(role)[row] for role in roles)]
        cells = [clean(outputs.ids[row]), *(clean(run.class_name(int(index))) for index in classes)]
        lines.append([*cells, *(percent(float(run.confidence(role)[row])) for role in roles)])
    head = ["image", "label", "teacher", "student", "teacher's confidence", "student's confidence"]
    return Table("The images, with both predictions and their confidence", head, lines, names=4)
