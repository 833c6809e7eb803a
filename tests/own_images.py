"""Small image sets of one's own, drawn at random, and loading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from PIL import Image

from kdcompress.data import Dataset, make_source


@pytest.fixture(autouse=True)
def cache_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests take their whole folder for a data set."""
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def picture(path: Path, seed: int, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """A random image of (height, width), the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def pictures(root: Path, count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 0, **how: Any) -> Path:
    for number, name in enumerate(classes):
        for index in range(count):
            picture(root / name / f"case{index // 2}-{index}.png", seed + 1000 * number + index, **how)
    return root


def load(name: str, recorder: Recorder | None = None, **settings: Any) -> Dataset:
    return make_source({"name": name, **{k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}}).load(
        recorder or Recorder()
    )
