"""A run whose data, teacher and images lie at a distance is the run of the same files here."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from conftest import Recorder
from own_images import pictures

import kdcompress
from kdcompress.data import Dataset
from kdcompress.errors import DataError, RecipeError, RunError, UsageError
from kdcompress.pipeline import distillation
from kdcompress.remote import _copies

pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_copies, "_KNOWN", {})


@pytest.fixture
def arrays(digits: Dataset, tmp_path: Path) -> Path:
    """300 digits as an npz file."""
    path, part = tmp_path / "digits.npz", digits.train.take(np.arange(0, 3900, 13))
    np.savez(path, x=part.images, y=part.labels)
    return path


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.onnx"
    kdcompress.export(tiny_models.teacher(), ["onnx"], ["fp32"], out=tmp_path / "teacher")
    return Path(shutil.move(next((tmp_path / "teacher").glob("*.onnx")), path))


def recipe(**places: str) -> dict[str, Any]:
    return {
        "name": "places",
        "data": {"name": "arrays", "dir": places["data"]},
        "teacher": {"model": places["teacher"], "check": False},
        "student": {"model": "tiny_models:student"},
        "training": {"stages": [{"epochs": 1}]},
    }


def test_a_run_of_files_at_a_distance_is_that_of_the_same_files_here(
    arrays: Path, teacher: Path, bucket: Any, web: Any, tmp_path: Path, recorder: Recorder
) -> None:
    bucket.put("digits.npz", arrays.read_bytes())
    shutil.copy(teacher, web.folder)
    here = kdcompress.distill(recipe(data=str(arrays), teacher=str(teacher)), out=tmp_path / "here", trust_code=True)
    places = {"data": "s3://bucket/digits.npz", "teacher": f"{web.url}/teacher.onnx"}
    run = kdcompress.distill(recipe(**places), out=tmp_path / "there", trust_code=True, progress=recorder)
    assert run.result["student"] == here.result["student"]
    assert run.result["dataset"]["fingerprint"] == here.result["dataset"]["fingerprint"]
    assert [note for note in recorder.notes if "copied into the cache" in note]
    written = (run.path / "recipe.toml").read_text()
    assert all(place in written for place in places.values())
    # The run has all that it needs: nothing is asked of the server any more
    web.stop()
    _copies._KNOWN.clear()
    assert kdcompress.verify(run.path)["ratios"] == kdcompress.verify(here.path)["ratios"]
    assert kdcompress.distill(recipe(**places), out=run.path).resumed


def test_a_teacher_that_was_replaced_during_a_run_is_noticed(
    arrays: Path, teacher: Path, web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(teacher, web.folder)
    asked, out = recipe(data=str(arrays), teacher=f"{web.url}/teacher.onnx"), tmp_path / "run"

    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(distillation.Pipeline, "_train", stop)
        with pytest.raises(KeyboardInterrupt):
            kdcompress.distill(asked, out=out, trust_code=True)
    content = bytearray(teacher.read_bytes())
    content[-1] ^= 1
    (web.folder / "teacher.onnx").write_bytes(content)
    os.utime(web.folder / "teacher.onnx", (2e9, 2e9))  # this server tells of changes by the second alone
    _copies._KNOWN.clear()
    with pytest.raises(RunError, match=r"teacher.onnx was replaced since run"):
        kdcompress.distill(asked, out=out, trust_code=True)


def test_images_of_a_bucket_in_folders_and_tables(bucket: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pets", count=6)
    bucket.put_folder(folder, "pets")
    rows = [f"{path.relative_to(folder).as_posix()},{path.parent.name}" for path in sorted(folder.rglob("*.png"))]
    bucket.put("pets/table.csv", "\n".join(["path,label", *rows]).encode())
    from own_images import load

    plain = load("folder", dir=str(folder))
    assert load("folder", dir="s3://bucket/pets").fingerprint == plain.fingerprint
    assert load("csv", dir="s3://bucket/pets").fingerprint == load("csv", file="s3://bucket/pets/table.csv").fingerprint


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data.dir": "ftp://host/digits"}, "data.dir: 'ftp://host/digits': unknown protocol; URLs begin with s3://"),
        (
            {"teacher.model": "s3://bucket/teacher.pt"},
            "teacher.model: 's3://bucket/teacher.pt': the URL of a model",
        ),
        ({"student.model": "s3://bucket/student.onnx"}, "the URL of a model ends in .keras"),
        (
            {"student.model": "https://me:pass@host/student.keras"},
            "'https://host/student.keras' holds a password",
        ),
        ({"unlabelled.dir": "s3://b/a::c"}, "unlabelled.dir: 's3://b/a::c': chained URLs"),
    ],
)
def test_urls_in_a_recipe_are_checked_before_anything_is_opened(settings: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        kdcompress.distill("mnist-demo", settings=settings)
    assert words in str(caught.value)


def test_models_of_urls_are_counted_and_runs_are_refused(teacher: Path, web: Any) -> None:
    shutil.copy(teacher, web.folder)
    there, here = (kdcompress.verify(one)["model"] for one in (f"{web.url}/teacher.onnx", teacher))
    assert {**there, "path": None} == {**here, "path": None}
    with pytest.raises(DataError, match="does not exist"):
        kdcompress.verify(f"{web.url}/student.onnx")


def test_a_run_at_a_distance_is_refused_with_the_remedy(bucket: Any) -> None:
    bucket.put("run/manifest.json", b"{}")
    with pytest.raises(UsageError, match="s3://bucket/run is a run, which results are written into: copy it"):
        kdcompress.verify("s3://bucket/run")


@pytest.mark.parametrize("out", ["s3://bucket/mine", Path("s3://bucket/mine"), "GS://bucket/mine"])
def test_results_are_written_here(out: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = r"on this machine, got \w+://bucket/mine: take one here, and copy it .*aws s3 sync"
    with pytest.raises(UsageError, match=words):
        kdcompress.distill("mnist-demo", out=out)
    with pytest.raises(UsageError, match=words):
        kdcompress.sweep("mnist-demo", temperatures=[2], out=out)
    with pytest.raises(UsageError, match=words):
        kdcompress.report("elsewhere", out=out)
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"] or not list(tmp_path.iterdir())
