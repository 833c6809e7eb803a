"""What must be said of figures before anything else: that the images they are of are none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def synthetic_notice(dataset: Mapping[str, Any]) -> str | None:
    """What to say of figures on synthetic images; None of others.

    `dataset` is what a run remembers of its data; the `source` of synthetic ones begins with "synthetic".
    """
    if not str(dataset.get("source", "")).lower().startswith("synthetic"):
        return None
    return (
        "SYNTHETIC images, not tissue: a program drew them, and no figure here says how well anything does on real "
        "images."
    )
