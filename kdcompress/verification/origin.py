"""Notice for results on synthetic images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def synthetic_notice(dataset: Mapping[str, Any]) -> str | None:
    """Compose the notice that results are of synthetic images.

    Args:
        dataset: `dataset` of a run's manifest, whose `source` begins with "synthetic" for synthetic images.

    Returns:
        The notice; None for real images.
    """
    if not str(dataset.get("source", "")).lower().startswith("synthetic"):
        return None
    return (
        "SYNTHETIC images, not tissue: a program drew them, and no figure here says how well anything does on real "
        "images."
    )
