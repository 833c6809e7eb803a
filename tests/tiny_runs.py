"""A whole distillation in seconds: small models, few genuine digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kdcompress

TINY = {
    "teacher.model": "tiny_models:teacher",
    "teacher.check": False,  # it is untrained: what it says does not matter here
    "student.model": "tiny_models:student",
    "data.source": "embedded",
}


def distill(out: Path, *, settings: dict[str, Any] | None = None, **choices: Any) -> kdcompress.Run:
    """A run of the demo recipe on 400 digits for 2 epochs, unless told otherwise."""
    choices = {"epochs": 2, "limit": 400, **choices}
    return kdcompress.distill("mnist-demo", out=out, settings={**TINY, **(settings or {})}, **choices)
