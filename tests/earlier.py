"""tests/data/run-0.1, a finished run with its exports that version 0.1 made; and whether Keras here is new enough."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import pytest

RUN = Path(__file__).parent / "data" / "run-0.1"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


with zipfile.ZipFile(RUN / "student.keras") as _archive:
    MADE_BY = json.loads(_archive.read("metadata.json"))["keras_version"]

needs_its_keras = pytest.mark.skipif(
    _version(keras.__version__) < _version(MADE_BY),
    reason=f"the run was made by Keras {MADE_BY}, whose files Keras {keras.__version__} does not open",
)
