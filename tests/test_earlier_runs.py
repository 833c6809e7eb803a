"""Runs of earlier versions keep working: tests/data/run-0.1 was made by version 0.1, and is opened as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from earlier import RUN, needs_its_keras

import kdcompress
from kdcompress.data import make_source
from kdcompress.errors import RunError
from kdcompress.progress import Progress

pytestmark = needs_its_keras


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A copy, for commands write into a run."""
    return Path(shutil.copytree(RUN, tmp_path / "run-0.1"))


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    from PIL import Image

    test = make_source({"name": "mnist", "source": "embedded"}).load(Progress()).test
    path = tmp_path / "digit.png"
    Image.fromarray(test.images[0, ..., 0]).save(path)
    return path


def test_every_model_file_of_it_classifies(earlier: Path, digit: Path) -> None:
    files = [earlier, *(earlier / f"{role}.keras" for role in ("teacher", "student", "baseline"))]
    exports = sorted(path for path in (earlier / "exports").iterdir() if path.suffix != ".json")
    assert len(exports) == 8
    for path in (*files, *exports):
        ((row),) = kdcompress.predict(path, [digit])
        assert row["class"] == "0", path


def test_its_report_is_made_again(earlier: Path) -> None:
    shown = kdcompress.report(earlier)
    assert shown["finished"]
    assert shown["missing"] == []
    assert shown["metrics"]["student"]["accuracy"] == pytest.approx(0.864)


def test_its_training_is_not_continued_by_this_version(earlier: Path) -> None:
    manifest = json.loads((earlier / "manifest.json").read_text(encoding="utf-8"))
    for name in ("metrics.json", "baseline.keras"):
        del manifest["files"][name]
    (earlier / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match=r"was begun by 'kdcompress 0\.1\.0', and only the same minor version"):
        kdcompress.distill(earlier / "recipe.toml", out=earlier)


def test_its_student_is_exported_again(earlier: Path) -> None:
    made = kdcompress.export(earlier, ["onnx", "tflite"], parity_samples=50)
    assert made["passed"]
