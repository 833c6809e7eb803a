"""A whole distillation of two classes in seconds: tiny models in memory, random images of 12 pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
from mhist_folder import mhist_folder

import kdcompress


def small(name: str, size: int) -> keras.Model:
    """Two dense layers."""
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(size),
            keras.layers.Dense(2),
        ],
        name=name,
    )


def distill(out: Path, data: dict[str, Any], **choices: Any) -> kdcompress.Run:
    """A run on `data` for an epoch; the teacher is untrained."""
    teacher, student = small("big", 8), small("little", 2)
    settings = {"teacher.check": False, "split.validation_fraction": 0.25}
    recipe = {"name": "own", "data": data, "method": {"name": "hinton"}}
    return kdcompress.distill(recipe, out=out, teacher=teacher, student=student, epochs=1, settings=settings, **choices)


def distill_mhist(root: Path, synthetic: bool = False) -> kdcompress.Run:
    """A run in `root` on 64 and 32 images in MHIST's layout, whose votes go 0, 1, ... 7 again and again."""
    folder = mhist_folder(root / "mhist", train=64, test=32)
    if synthetic:
        (folder / "synthetic.json").write_text(json.dumps({"synthetic": True, "made_by": "a test"}))
    return distill(root / "run", {"name": "mhist", "dir": str(folder)})
