"""Origin of a folder in MHIST's layout: published, synthetic or unknown; and instructions to request MHIST."""

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
_SYNTHETIC_NAME = re.compile(r"SYN_\d+\.png$")  # names of synthetic images
SYNTHETIC_NOTICE = (
    "SYNTHETIC images, drawn by a program, not tissue: figures on them say nothing of MHIST, of tissue or of patients"
)
PUBLISHED = {"train": (1545, 630), "test": (617, 360)}
PUBLISHED_SIZE = "224x224"


def request_instructions() -> str:
    """Return how to request the data set and where to put it, for a message."""
    return (
        "MHIST may not be redistributed, so it cannot be downloaded for you: request it from its owners, the BMIRDS "
        "group at Dartmouth (https://bmirds.github.io/MHIST/), who hand it out under a use agreement, and put "
        f"{TABLE} and {IMAGES}/ or {IMAGES}.zip into a folder of their own, which --data-dir names (or "
        "KDCOMPRESS_DATA_DIR, if it is mhist/ in it); to try things out without it: kdcompress data make-synthetic "
        "mhist --out DIR"
    )


def synthetic_origin(folder: Path, names: Sequence[str]) -> str | None:
    """Describe what made the images if they are synthetic, by their manifest or names.

    Args:
        folder: The folder.
        names: Image names.

    Returns:
        Description, or None for images that are not synthetic.

    Raises:
        DataError: If the manifest is damaged.
    """
    path = folder / MANIFEST
    if not os.path.lexists(path):
        return "their manifest is gone" if names and all(_SYNTHETIC_NAME.match(name) for name in names) else None
    try:
        facts = read_json(path, DataError, _REMEDY)
    except OSError as exc:
        raise DataError(f"{path} is damaged or not what make-synthetic writes ({exc.strerror}); {_REMEDY}") from exc
    if facts.get("synthetic") is not True:
        reason = "it does not say synthetic: true"
        raise DataError(f"{path} is damaged or not what make-synthetic writes ({reason}); {_REMEDY}")
    return _format_facts(facts)


def _format_facts(facts: Mapping[str, Any]) -> str:
    """Format the manifest, which is untrusted input and appears in reports, in one line."""
    shown = {
        key: " ".join(str(facts[key]).split())[:60] for key in ("made_by", "seed", "count", "size") if key in facts
    }
    words = [f"made by {shown.pop('made_by')}"] if "made_by" in shown else []
    return ", ".join(words + [f"{key} {value}" for key, value in shown.items()]) or "of unknown make"


def describe_difference(parts: Mapping[str, Samples], size: str) -> str | None:
    """Describe how the data differ from the published data set.

    Args:
        parts: Samples of train and test.
        size: Size of the images, such as "224x224".

    Returns:
        Differences of class counts and image size, or None.
    """
    differences = []
    for name, part in parts.items():
        counts = tuple(np.bincount(part.labels, minlength=len(CLASSES)).tolist())
        if counts != PUBLISHED[name]:
            differences.append(f"{name} has {_format_counts(counts)} (published: {_format_counts(PUBLISHED[name])})")
    if size != PUBLISHED_SIZE:
        differences.append(f"images are {size} (published: {PUBLISHED_SIZE})")
    return f"not the published MHIST: {', '.join(differences)}" if differences else None


def _format_counts(counts: tuple[int, ...]) -> str:
    return " and ".join(f"{count:,} {name}" for count, name in zip(counts, CLASSES, strict=True))
