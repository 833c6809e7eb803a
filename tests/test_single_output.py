"""Teachers and students of two classes with one output go all the way, as does a model of one outside a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from conftest import Recorder
from keras import layers

import kdcompress
from kdcompress.benchmarking import _bench
from kdcompress.data import Dataset

SHAPE = (28, 28, 1)


def single(filters: int, activation: str | None) -> Any:
    """A model of one output for two classes."""
    keras.utils.set_random_seed(filters)
    image = keras.Input(SHAPE)
    hidden = layers.Conv2D(filters, 5, strides=3, activation="relu")(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, layers.Dense(1, activation=activation)(layers.Flatten()(hidden)))


@pytest.fixture(scope="module")
def folder(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of zeros and ones, and a trained teacher that gives the probability of a one."""
    root = tmp_path_factory.mktemp("zeros and ones")
    for part, samples in (("train", digits.train), ("test", digits.test)):
        rows = np.concatenate([np.flatnonzero(samples.labels == label)[:100] for label in (0, 1)])
        other_models.save_images(samples.take(rows), root / "images" / part, ("zero", "one"))
    teacher = single(8, "sigmoid")
    rows = np.flatnonzero(digits.train.labels < 2)
    teacher.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
    teacher.fit(digits.train.images[rows], digits.train.labels[rows], epochs=2, verbose=0)
    teacher.save(root / "teacher.keras")
    for name, activation in (("sigmoid", "sigmoid"), ("logit", None)):
        single(2, activation).save(root / f"{name}.keras")
    return root


def distill(folder: Path, out: Path, student: str, progress: Recorder | None = None) -> kdcompress.Run:
    # Classes are sorted by name: "one" is the first, and the teacher's second output is that of "one"
    data = {"name": "folder", "dir": str(folder / "images"), "size": 28, "colour": "grey"}
    settings = {
        "teacher.preprocessing.classes": ["zero", "one"],
        "split.validation_fraction": 0.2,
        "training.batch_size": 16,
    }
    return kdcompress.distill(
        {"name": "own", "data": data, "method": {"name": "hinton"}},
        out=out,
        teacher=str(folder / "teacher.keras"),
        student=str(folder / f"{student}.keras"),
        epochs=8,
        settings=settings,
        progress=progress,
    )


def test_a_sigmoid_student_of_a_sigmoid_teacher(
    folder: Path, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bench, "measure_fresh", lambda *args: {"load_ms": 1.0, "first_ms": 1.0, "peak_rss_mb": 1.0})
    run = distill(folder, tmp_path / "run", "sigmoid", recorder)
    (said,) = [note for note in recorder.notes if note.startswith("student ")]
    assert "sigmoid.keras has one output for two classes: without its sigmoid, it is taken as the logit z" in said
    assert run.result.teacher["metrics"]["accuracy"] > 0.95
    assert run.result.student["metrics"]["accuracy"] > 0.9
    student = run.student()
    images = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.float32)
    assert np.asarray(student(images)).shape == (4, 2)
    assert np.array_equal(np.asarray(student(images))[:, 0], np.zeros(4))
    exported = kdcompress.export(run, "all", ["fp32", "int8"], parity_samples=50)
    assert exported["passed"]
    assert exported["failures"] == []
    verified = kdcompress.verify(run)
    assert verified["passed"]
    result = kdcompress.bench(run, threads=[1], duration=0.03)
    assert not [text for text in result["skipped"] if text.startswith("the teacher")]
    assert [m["runtime"] for m in result["models"] if m["name"] == "teacher"] == ["onnxruntime", "litert"]
    assert kdcompress.report(run)
    test = folder / "images/test"
    for model in (run.path, *sorted((run.path / "exports").glob("student-*"))):
        rows = kdcompress.predict(model, [test])
        right = np.mean([Path(row["image"]).parent.name == row["class"] for row in rows])
        assert right == pytest.approx(run.result.student["metrics"]["accuracy"], abs=0.02), model


def test_a_student_with_a_logit_learns_the_same(folder: Path, tmp_path: Path) -> None:
    results = [distill(folder, tmp_path / student, student).result for student in ("sigmoid", "logit")]
    assert results[0].student["metrics"]["accuracy"] == results[1].student["metrics"]["accuracy"]
    assert results[0].student["metrics"]["auc"] == results[1].student["metrics"]["auc"]


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_model_outside_a_run(activation: str | None, folder: Path, tmp_path: Path, recorder: Recorder) -> None:
    model = single(2, activation)
    model.save(tmp_path / "m.keras")
    images = sorted((folder / "images/test/one").iterdir())[:5]
    from kdcompress.data import read_image

    pixels = np.stack([read_image(path, SHAPE) for path in images]).astype(np.float32)
    outputs = np.asarray(model(pixels))[:, 0]
    expected = outputs if activation else 1 / (1 + np.exp(-outputs))
    result = kdcompress.export(tmp_path / "m.keras", "all", progress=recorder)
    assert result["passed"]
    assert any("has one output for two classes" in note for note in recorder.notes)
    exports = [tmp_path / "m-exports" / Path(entry["path"]).name for entry in result["artefacts"]]
    foreign = other_models.tflite_file(model, tmp_path / "foreign.tflite")
    for path in (tmp_path / "m.keras", *exports, foreign):
        rows = kdcompress.predict(path, images)
        second = [row["probability"] if row["class"] == "1" else 1 - row["probability"] for row in rows]
        assert second == pytest.approx(expected, abs=1e-4), path
    assert kdcompress.verify(tmp_path / "m.keras")["model"]["params"] == model.count_params()
