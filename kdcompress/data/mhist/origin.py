"""Where a folder in MHIST's layout comes from: its owners, a generator or elsewhere; and how the real one is had."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.data.mhist.table import IMAGES, TABLE
from kdcompress.data.mhist.votes import CLASSES
from kdcompress.data.samples import Samples
from kdcompress.errors import DataError
from kdcompress.files import read_json

MANIFEST = "synthetic.json"
_REMEDY = "make the folder anew"
_DRAWN = re.compile(r"SYN_\d+\.png$")  # names that make-synthetic gives
SYNTHETIC_NOTICE = (
    "SYNTHETIC images, drawn by a program, not tissue: figures on them say nothing of MHIST, of tissue or of patients"
)
PUBLISHED = {"train": (1545, 630), "test": (617, 360)}
PUBLISHED_SIZE = "224x224"


def request_instructions() -> str:
    """How the data set is had and where it is put, for an error."""
    return (
        "MHIST may not be redistributed, so it cannot be downloaded for you: request it from its owners, the BMIRDS "
        "group at Dartmouth (https://bmirds.github.io/MHIST/), who hand it out under a use agreement, and put "
        f"{TABLE} and {IMAGES}/ or {IMAGES}.zip into a folder of their own, which --data-dir names (or "
        "KDCOMPRESS_DATA_DIR, if it is mhist/ in it); to try things out without it: kdcompress data make-synthetic "
        "mhist --out DIR"
    )


def synthetic_origin(folder: Path, names: Sequence[str]) -> str | None:
    """What made the images in `folder`, in words, if its manifest or their `names` say that they are synthetic.

    None of others.

    Errors: DataError for a manifest that is damaged: whether images are tissue is not guessed.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return "their manifest is gone" if names and all(_DRAWN.match(name) for name in names) else None
    try:
        facts = read_json(path, DataError, _REMEDY)
    except OSError as exc:
        raise DataError(f"{path} is damaged or not what make-synthetic writes ({exc.strerror}); {_REMEDY}") from exc
    if facts.get("synthetic") is not True:
        said = "it does not say synthetic: true"
        raise DataError(f"{path} is damaged or not what make-synthetic writes ({said}); {_REMEDY}")
    return _in_words(facts)


def _in_words(facts: Mapping[str, Any]) -> str:
    """The manifest in one line: it is a file from anywhere, and ends up in reports."""
    told = {key: " ".join(str(facts[key]).split())[:60] for key in ("made_by", "seed", "count", "size") if key in facts}
    words = [f"made by {told.pop('made_by')}"] if "made_by" in told else []
    return ", ".join(words + [f"{key} {value}" for key, value in told.items()]) or "of unknown make"


def describe_difference(parts: Mapping[str, Samples], size: str) -> str | None:
    """How counts by part and class, and the size of the images, differ from the published ones; None if they do not."""
    said = []
    for name, part in parts.items():
        counts = tuple(np.bincount(part.labels, minlength=len(CLASSES)).tolist())
        if counts != PUBLISHED[name]:
            said.append(f"{name} has {_counted(counts)} (published: {_counted(PUBLISHED[name])})")
    if size != PUBLISHED_SIZE:
        said.append(f"images are {size} (published: {PUBLISHED_SIZE})")
    return f"not the published MHIST: {', '.join(said)}" if said else None


def _counted(counts: tuple[int, ...]) -> str:
    return " and ".join(f"{count:,} {name}" for count, name in zip(counts, CLASSES, strict=True))
