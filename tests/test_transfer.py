"""A teacher of the zoo's ImageNet networks through everything: staged training on drawn images, verify, export, report.

Its student is small: training functions of such a network take half a minute to trace.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder

import kdcompress
from kdcompress.data.synthetic._base import make_synthetic
from kdcompress.progress import Progress

STAGES = [{"trainable": "head", "epochs": 2, "learning_rate": 1e-2}, {"trainable": "all", "epochs": 1}]
NARROW = {"model": "mobilenetv2", "width": 0.35}
TRAINING = {"batch_size": 8, "learning_rate": 1e-3, "choose_by": "auc", "class_weights": "balanced", "stages": STAGES}


def recipe(images: Path) -> dict[str, Any]:
    return {
        "name": "narrow",
        "data": {"name": "mhist", "dir": str(images)},
        "split": {"validation_fraction": 0.3},
        "views": {"count": 2, "flips": True, "fill": "reflect"},
        "teacher": {**NARROW, "training": TRAINING, "check": False},
        "student": {"model": "tiny_cnn"},
        "method": {"name": "subclass", "subclasses": [1, 3], "temperature": 1.0, "alpha": 0.3, "beta": 0.1},
        "training": TRAINING,
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, kdcompress.Run, Recorder]:
    root, said = tmp_path_factory.mktemp("transfer"), Recorder()
    make_synthetic("mhist", root / "images", Progress(), count=60, size=96, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(root / "cache"))
        run = kdcompress.distill(recipe(root / "images"), out=root / "run", progress=said)
    return root, run, said


def test_each_network_went_through_its_stages(made: tuple[Path, kdcompress.Run, Recorder]) -> None:
    _, run, said = made
    with (run.path / "history.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for phase in ("teacher", "student", "baseline"):
        own = [row for row in rows if row["phase"] == phase]
        assert [row["epoch"] for row in own] == ["1", "2", "3"]
        assert all(0 <= float(row["val_auc"]) <= 1 for row in own)
    # One pass for the teacher, one that student and baseline share, each over train and over validation
    assert sum("frozen layers run once" in note for note in said.notes) == 4


def test_nothing_of_frozen_layers_is_left(made: tuple[Path, kdcompress.Run, Recorder]) -> None:
    root, run, _ = made
    assert not (run.path / "checkpoints").exists()
    assert [path.name for path in (root / "cache" / "teachers").rglob("*") if path.is_dir()] == [
        path.name for path in (root / "cache" / "teachers").iterdir() if path.is_dir()
    ]


def test_it_is_verified_exported_and_reported(made: tuple[Path, kdcompress.Run, Recorder], tmp_path: Path) -> None:
    _, run, _ = made
    verdict = kdcompress.verify(run)
    assert verdict["ratios"]["params"] < 0.2
    assert [row["agreement"] for row in verdict["student"]["metrics"]["by_agreement"]][-1] == "7/7"
    assert verdict["student"]["metrics"]["auc"] == pytest.approx(run.result["student"]["metrics"]["auc"])
    assert kdcompress.export(run, "onnx")["passed"]
    exported = kdcompress.export(run.path / "teacher.keras", ["onnx", "tflite"], ["fp32"], out=tmp_path)
    assert exported["passed"]
    assert all(one["parity"]["top1_agreement"] == 1 for one in exported["artefacts"])
    page = Path(kdcompress.report(run)["report"]).read_text()
    assert "SYNTHETIC" in page
    assert "AUC on validation" in page
