"""The whole distillation on genuine digits, with small models."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from conftest import Recorder
from tiny_runs import TINY, distill

import kdcompress
from kdcompress.config.recipe import resolve
from kdcompress.digests import sha256_of
from kdcompress.errors import DataError, ModelError
from kdcompress.models import save_model, seed_everything
from kdcompress.pipeline.distillation import Pipeline
from kdcompress.runs.folder import RunFolder


def test_a_run_from_beginning_to_end(tmp_path: Path, recorder: Recorder) -> None:
    run = distill(tmp_path / "run", progress=recorder)
    result = run.result
    assert result["run"] == str(tmp_path / "run")
    assert {k: result["dataset"][k] for k in ("name", "n_train", "n_val", "n_test")} == {
        "name": "mnist",
        "n_train": 360,
        "n_val": 40,
        "n_test": 1000,
    }
    assert recorder.phases == ["labelling", "student", "baseline"]
    assert result["warnings"][0].startswith("NOT the whole MNIST")
    manifest = json.loads((run.path / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        assert sha256_of(run.path / name) == entry["sha256"]
        assert (run.path / name).stat().st_size == entry["bytes"]
    files = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert files == {*manifest["files"], "manifest.json", ".lock"}
    assert set(manifest["files"]) == {
        "recipe.toml",
        "teacher.keras",
        "student.keras",
        "baseline.keras",
        "history.csv",
        "metrics.json",
        "outputs/test.npz",
        "outputs/val.npz",
        "outputs/disagreements.npz",
    }
    with np.load(run.path / "outputs/test.npz") as outputs:
        for name, part in (("teacher", "teacher"), ("student", "student"), ("baseline", "baseline")):
            right = outputs[f"{name}_logits"].argmax(-1) == outputs["labels"]
            assert right.mean() == pytest.approx(result[part]["metrics"]["accuracy"])
        tops = {role: outputs[f"{role}_logits"].argmax(-1) for role in ("teacher", "student")}
        with np.load(run.path / "outputs/disagreements.npz") as kept:
            assert kept["images"].shape == (min(24, int((tops["teacher"] != tops["student"]).sum())), 28, 28, 1)
            for name in kept["ids"]:
                (row,) = np.flatnonzero(outputs["ids"] == name)
                assert tops["teacher"][row] != tops["student"][row]
    rows = list(csv.DictReader((run.path / "history.csv").open()))
    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("student", "1"),
        ("student", "2"),
        ("baseline", "1"),
        ("baseline", "2"),
    ]
    again = distill(tmp_path / "run", progress=recorder)
    assert again.resumed
    assert again.result == result
    assert recorder.phases == ["labelling", "student", "baseline"]


def test_the_teacher_that_labelled_is_unchanged_when_all_is_trained(tmp_path: Path) -> None:
    seed_everything(7)
    teacher = tiny_models.teacher()
    assert len(teacher.weights) == 8  # BatchNorm's moving statistics among them
    save_model(teacher, tmp_path / "t.keras")
    settings = {**TINY, "teacher.model": str(tmp_path / "t.keras"), "split.limit": 400, "training.epochs": 2}
    run = RunFolder(tmp_path / "run")
    run.prepare()
    outcome = Pipeline(resolve("mnist-demo", settings), run, Recorder()).execute()
    (used,) = (one.model for one in outcome.ensemble.teachers)
    assert len(used.weights) == 8
    assert all(np.array_equal(a, b) for a, b in zip(used.get_weights(), teacher.get_weights(), strict=True))


def test_student_and_baseline_begin_alike(tmp_path: Path) -> None:
    run = distill(tmp_path / "run", alpha=0.0)
    # alpha = 0 is no distillation: from the same weights, in the same order, with the same draws of dropout
    student, baseline = (keras.saving.load_model(run.path / f"{name}.keras") for name in ("student", "baseline"))
    assert all(np.array_equal(a, b) for a, b in zip(student.get_weights(), baseline.get_weights(), strict=True))
    assert any("alpha is 0" in warning for warning in run.result["warnings"])


def test_plain_keras_opens_the_student(tmp_path: Path) -> None:
    run = distill(tmp_path / "run", baseline=False)
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "print(model(np.zeros((2, 28, 28, 1), 'float32')).shape, model.compiled)\n"
        "assert not [name for name in sys.modules if name.startswith('kdcompress')]"
    )
    command = [sys.executable, "-c", code, str(run.path / "student.keras")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "(2, 10) False\n", done.stderr
    assert run.result["baseline"] is None
    assert not (run.path / "baseline.keras").exists()


def test_models_in_memory(tmp_path: Path) -> None:
    teacher, student = tiny_models.teacher(), tiny_models.student()
    teacher.compile("adam", loss="mse")
    unchecked = {"teacher.check": False}  # it is untrained
    run = kdcompress.distill(
        "mnist-demo",
        teacher=teacher,
        student=student,
        out=tmp_path / "run",
        epochs=1,
        limit=400,
        baseline=False,
        settings=unchecked,
    )
    kept = keras.saving.load_model(run.path / "teacher.keras")
    assert all(np.array_equal(a, b) for a, b in zip(kept.get_weights(), teacher.get_weights(), strict=True))
    assert teacher.compiled
    assert not kept.compiled
    again = kdcompress.distill(
        "mnist-demo",
        teacher=teacher,
        student=student,
        out=tmp_path / "run",
        epochs=1,
        limit=400,
        baseline=False,
        settings=unchecked,
    )
    assert again.resumed
    with pytest.raises(ModelError, match="got 42"):
        kdcompress.distill("mnist-demo", teacher=42)


def test_method_none_does_not_ask_the_teacher(tmp_path: Path, recorder: Recorder) -> None:
    run = distill(tmp_path / "run", method="none", progress=recorder)
    assert recorder.phases == ["student"]
    assert run.result["baseline"] is None
    assert run.result["targets"] == {"cached": False, "seconds": 0.0}


def test_a_zoo_teacher_is_trained_once_for_all_seeds(tmp_path: Path, recorder: Recorder) -> None:
    choices = {"settings": {"teacher.model": "mnist_cnn"}, "limit": 200, "epochs": 1, "baseline": False}
    one = distill(tmp_path / "one", seed=0, progress=recorder, **choices)
    other = distill(tmp_path / "other", seed=1, progress=recorder, **choices)
    assert recorder.phases == ["teacher", "labelling", "student", "student"]
    assert any("taken from the cache (1 epochs)" in note for note in recorder.notes)
    digests = []
    for run in (one, other):
        files = json.loads((run.path / "manifest.json").read_text())["files"]
        digests.append((files["teacher.keras"]["digest"], files["student.keras"]["digest"]))
        assert "teacher,1," in (run.path / "history.csv").read_text()
    assert digests[0][0] == digests[1][0]
    assert digests[0][1] != digests[1][1]
    assert other.result["targets"]["cached"]


class StopAt(Recorder):
    """Breaks off when a phase begins, as Ctrl-C does."""

    def __init__(self, phase: str) -> None:
        super().__init__()
        self.phase = phase

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        super().begin(phase, total, done)
        if phase == self.phase:
            raise KeyboardInterrupt


def test_models_of_custom_classes_go_on_too(tmp_path: Path, recorder: Recorder) -> None:
    settings = {"teacher.model": "tiny_models:subclassed", "student.model": "tiny_models:subclassed"}
    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", settings=settings, progress=StopAt("baseline"))
    distill(tmp_path / "run", settings=settings, progress=recorder)
    assert recorder.phases == ["baseline"]
    whole = distill(tmp_path / "whole", settings=settings)
    with np.load(tmp_path / "run" / "outputs/test.npz") as a, np.load(whole.path / "outputs/test.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)


def test_predict_on_files(tmp_path: Path, digits: Any) -> None:
    from PIL import Image

    model = tiny_models.plain()
    save_model(model, tmp_path / "m.keras")
    Image.fromarray(digits.test.images[5, :, :, 0]).save(tmp_path / "digit.png")
    (row,) = kdcompress.predict(tmp_path / "m.keras", [tmp_path / "digit.png"])
    logits = np.asarray(model(digits.test.images[5:6].astype(np.float32)))[0]
    assert row["class"] == str(logits.argmax())
    assert row["probability"] == pytest.approx(float(np.exp(logits.max()) / np.exp(logits).sum()), abs=1e-5)
    (tmp_path / "bad.png").write_bytes(b"garbage")
    with pytest.raises(DataError, match=r"bad\.png is truncated, damaged or no image"):
        kdcompress.predict(tmp_path / "m.keras", [tmp_path / "bad.png"])


@pytest.mark.parametrize(("recipe", "views", "epochs"), [("mnist", 1, 12), ("mnist-best", 16, 50)])
def test_a_plan_for_the_whole_mnist(recipe: str, views: int, epochs: int, whole_mnist: Path, tmp_path: Path) -> None:
    from kdcompress import api
    from kdcompress.progress import Progress

    plan = api.plan(api.recipe_of(recipe), tmp_path / "run", Progress())
    assert plan["dataset"]["n_train"] + plan["dataset"]["n_val"] == 60_000
    assert plan["dataset"]["n_test"] == 10_000
    assert plan["teacher"]["params"] == 1_011_466
    assert plan["student"]["flops"] == 2_475_882
    assert plan["targets"]["bytes"] == 57_000 * views * 10 * 4
    assert plan["student"]["todo"].startswith(f"{epochs} epochs, {222 * epochs:,} steps of 256")
    assert not (tmp_path / "run").exists()
