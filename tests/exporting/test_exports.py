from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tiny_models
from conftest import Recorder
from PIL import Image

import kdcompress
from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.data import Dataset, make_source, split_dataset
from kdcompress.digests import content_digest
from kdcompress.errors import DataError, ExportError, ModelError, RunError, UsageError
from kdcompress.exporting import _parity, make_format
from kdcompress.models import Forward, save_model
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE


@pytest.fixture
def photos(tmp_path: Path, digits: Dataset) -> Path:
    """30 training digits as image files."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(0, 3000, 100):
        Image.fromarray(digits.train.images[index][..., 0]).save(folder / f"{index:04}.png")
    return folder


def test_a_run_gets_its_student_in_every_format_and_a_list_of_them(finished: Path, recorder: Recorder) -> None:
    result = kdcompress.export(finished, ["all"], ["all"], progress=recorder)
    assert result["passed"]
    # int4 is left out where it is no gain
    assert len([entry for entry in result["artefacts"] if entry["precision"] != "int4"]) == 8
    run = RunFolder(finished)
    student = run.manifest()["files"]["student.keras"]["digest"]
    for entry in result["artefacts"]:
        path = finished / entry["path"]
        assert path.parent == finished / "exports"
        assert content_digest(path) == entry["sha256"]
        assert entry["parity"]["n"] == 1000
        assert {"accuracy", "ece", "f1", "recall"} <= entry["metrics"].keys()
        assert run.has_file(entry["path"] if path.is_file() else f"{entry['path']}/saved_model.pb")
    listed = json.loads((finished / "exports/exports.json").read_text())
    assert listed["student_digest"] == student
    assert {entry["path"] for entry in listed["artefacts"]} == {entry["path"] for entry in result["artefacts"]}
    assert [path.name for path in (finished / "exports").iterdir() if path.name.startswith(".")] == []


def test_predict_gives_the_same_classes_with_every_export(finished: Path, photos: Path) -> None:
    precisions = ["fp32", "fp16", "int8", "dynamic"]  # 4 bits change a class or two
    exports = kdcompress.export(finished, ["all"], precisions)["artefacts"]
    expected = [row["class"] for row in kdcompress.predict(finished, [photos])]
    assert len(set(expected)) > 5
    for entry in exports:
        rows = kdcompress.predict(finished / entry["path"], [photos])
        assert [row["class"] for row in rows] == expected, entry["path"]


def test_calibration_images_are_of_train_each_class_in_its_share_and_listed(finished: Path) -> None:
    result = kdcompress.export(finished, ["onnx"], ["int8", "fp32"], calibration_samples=50)
    entries = {entry["precision"]: entry for entry in result["artefacts"]}
    assert entries["fp32"]["calibration"] is None
    facts = entries["int8"]["calibration"]
    recipe = read_resolved_recipe(finished / RECIPE)
    split = split_dataset(make_source(recipe.data).load(Progress()), recipe.split)
    label_of = dict(zip(split.train.ids.tolist(), split.train.labels.tolist(), strict=True))
    assert (facts["source"], facts["n"], len(set(facts["ids"]))) == ("train", 50, 50)
    assert set(facts["ids"]) <= label_of.keys()
    assert not set(facts["ids"]) & {*split.test.ids.tolist(), *split.val.ids.tolist()}
    assert {list(map(label_of.__getitem__, facts["ids"])).count(digit) for digit in range(10)} <= {4, 5, 6}


def test_metadata_tell_where_a_file_comes_from(finished: Path) -> None:
    kdcompress.export(finished, ["onnx", "saved-model"])
    model = onnx.load(finished / "exports/student-fp32.onnx")
    said = {entry.key: entry.value for entry in model.metadata_props}
    manifest = RunFolder(finished).manifest()
    assert said["student_digest"] == manifest["files"]["student.keras"]["digest"]
    assert said["kdcompress"] == kdcompress.__version__
    assert json.loads(said["classes"]) == manifest["classes"]
    assert json.loads(said["input"])["range"] == [0, 255]
    accuracy = json.loads((finished / "metrics.json").read_text())["student"]["metrics"]["accuracy"]
    assert json.loads(said["metrics"])["accuracy"] == accuracy
    beside = json.loads((finished / "exports/student-fp32.saved_model/assets.extra/kdcompress.json").read_text())
    assert beside["student_digest"] == said["student_digest"]


def test_a_file_that_fails_is_kept_marked_and_replaces_one_that_passed(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kdcompress.export(finished, ["onnx"])["passed"]
    monkeypatch.setattr(_parity, "FP32_TOLERANCE", 1e-12)
    result = kdcompress.export(finished, ["onnx"])
    assert not result["passed"]
    assert result["artefacts"][0]["path"] == "exports/student-fp32.failed.onnx"
    assert [path.name for path in (finished / "exports").glob("*.onnx")] == ["student-fp32.failed.onnx"]
    assert "exports/student-fp32.onnx" not in RunFolder(finished).manifest()["files"]
    monkeypatch.undo()
    assert kdcompress.export(finished, ["onnx"])["passed"]
    assert [path.name for path in (finished / "exports").glob("*.onnx")] == ["student-fp32.onnx"]
    assert len(json.loads((finished / "exports/exports.json").read_text())["artefacts"]) == 1


def test_a_second_export_adds_to_the_first_and_gives_the_same_bytes(finished: Path) -> None:
    first = kdcompress.export(finished, ["onnx", "tflite"])["artefacts"]
    kdcompress.export(finished, ["tflite"], ["dynamic"])
    again = kdcompress.export(finished, ["onnx", "tflite"])["artefacts"]
    assert [entry["sha256"] for entry in first] == [entry["sha256"] for entry in again]
    assert len(json.loads((finished / "exports/exports.json").read_text())["artefacts"]) == 3


def test_parity_samples_are_spread_over_test(finished: Path) -> None:
    (entry,) = kdcompress.export(finished, ["onnx"], parity_samples=100)["artefacts"]
    assert entry["parity"]["n"] == 100
    assert len([count for count in entry["metrics"]["recall"].values() if count is not None]) == 10


def test_a_student_of_an_unknown_class_is_exported_too(tmp_path: Path) -> None:
    from tiny_runs import distill

    run = distill(tmp_path / "run", epochs=1, settings={"student.model": "tiny_models:subclassed", "baseline": False})
    with pytest.raises(ModelError, match=r"needs tiny_models:subclassed to be opened, a program .* add --trust-code"):
        kdcompress.export(run, ["onnx", "tflite"])
    assert kdcompress.export(run, ["onnx", "tflite"], trust_code=True)["passed"]


def test_a_run_that_cannot_be_exported_says_why(finished: Path, tmp_path: Path) -> None:
    student = finished / "student.keras"
    content = student.read_bytes()
    student.write_bytes(content[:-1] + b"?")
    with pytest.raises(RunError, match=r"student\.keras has changed since the run wrote it"):
        kdcompress.export(finished)
    student.unlink()
    with pytest.raises(RunError, match=r"student\.keras is gone"):
        kdcompress.export(finished)
    manifest = json.loads((finished / "manifest.json").read_text())
    del manifest["files"]["student.keras"]
    (finished / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="has no student yet"):
        kdcompress.export(finished)
    with pytest.raises(UsageError, match="does not exist"):
        kdcompress.export(tmp_path / "nowhere")
    assert not (finished / "exports").exists()


def test_other_data_than_the_run_was_tested_on_are_refused(finished: Path, digits_dir: Path) -> None:
    with pytest.raises(RunError, match="the data changed"):
        kdcompress.export(finished, data_dir=digits_dir)


def test_a_model_on_its_own_is_compared_on_random_and_given_images(
    classifier: Any, photos: Path, tmp_path: Path
) -> None:
    path = tmp_path / "big.keras"
    classifier.save(path)  # compiled: its optimizer must not be in the way
    result = kdcompress.export(path)
    assert result["out"] == str(tmp_path / "big-exports")
    assert {entry["path"] for entry in result["artefacts"]} == {"big-fp32.onnx", "big-fp32.tflite"}
    assert all(entry["parity"]["n"] == 64 and entry["passed"] for entry in result["artefacts"])
    small = kdcompress.export(path, ["onnx", "tflite"], ["fp32", "int8"], calibration=photos, out=tmp_path / "out")
    assert small["passed"]
    n = {entry["path"]: entry["parity"]["n"] for entry in small["artefacts"]}
    assert n == {"big-fp32.onnx": 94, "big-int8.onnx": 30, "big-fp32.tflite": 94, "big-int8.tflite": 30}
    assert small["artefacts"][1]["calibration"]["n"] == 30
    assert small["artefacts"][0]["metrics"] is None


def test_exports_of_a_former_model_are_not_left_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for turn in range(2):
        keras.utils.set_random_seed(turn)
        save_model(tiny_models.plain(), path)
        kdcompress.export(path, ["onnx"] if turn else ["onnx", "tflite"])
    assert sorted(item.name for item in (tmp_path / "model-exports").iterdir()) == ["exports.json", "model-fp32.onnx"]


def test_a_model_for_any_size_needs_one_said(tmp_path: Path) -> None:
    path = tmp_path / "any.keras"
    save_model(
        keras.Sequential([keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]),
        path,
    )
    with pytest.raises(ModelError, match="pass --input-shape H,W,C"):
        kdcompress.export(path)
    with pytest.raises(ModelError, match=r"--input-shape must fit .*any.keras, which takes .*\?x\?x1, got 8x8x3"):
        kdcompress.export(path, input_shape=(8, 8, 3))
    kdcompress.export(path, ["onnx"], input_shape=(9, 8, 1))
    assert make_format("onnx").open(tmp_path / "any-exports/any-fp32.onnx").input_shape == (9, 8, 1)


def test_int8_without_images_and_an_empty_folder_are_told_what_is_missing(tmp_path: Path) -> None:
    path, empty = tmp_path / "model.keras", tmp_path / "empty"
    save_model(tiny_models.plain(), path)
    empty.mkdir()
    with pytest.raises(UsageError, match="give --calibration FOLDER"):
        kdcompress.export(path, precisions=["int8"])
    with pytest.raises(DataError, match="holds no images"):
        kdcompress.export(path, precisions=["int8"], calibration=empty)
    (empty / "torn.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match=r"torn\.png is truncated, damaged or no image"):
        kdcompress.export(path, precisions=["int8"], calibration=empty)
    with pytest.raises(UsageError, match="is neither a run folder nor a model"):
        kdcompress.export(empty)
    assert not (tmp_path / "model-exports").exists()


def test_probabilities_are_warned_about(tmp_path: Path, recorder: Recorder) -> None:
    path = tmp_path / "model.keras"
    save_model(keras.Sequential([keras.Input((28, 28, 1)), tiny_models.softmax()]), path)
    kdcompress.export(path, ["onnx"], progress=recorder)
    assert "ends in probabilities" in recorder.warnings[0]


def test_a_model_in_memory_is_exported(tmp_path: Path) -> None:
    model = tiny_models.plain()
    with pytest.raises(UsageError, match="name the folder"):
        kdcompress.export(model, ["onnx"])
    kdcompress.export(model, ["onnx"], out=tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.onnx")
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(make_format("onnx").open(path).run(images), Forward(model)(images), atol=1e-4)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error_and_leaves_nothing(finished: Path) -> None:
    (finished / "exports").mkdir()
    (finished / "exports").chmod(0o500)
    with pytest.raises(PermissionError):
        kdcompress.export(finished, ["onnx"])
    assert list((finished / "exports").iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing_half_written(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdcompress.exporting._pipeline.move_into_place", full)
    with pytest.raises(OSError, match="No space left"):
        kdcompress.export(finished, ["tflite"])
    assert not (finished / "exports").exists()


def test_an_operator_that_cannot_be_expressed_leaves_no_file(tmp_path: Path) -> None:
    from exporting.test_formats import InverseError

    path = tmp_path / "odd.keras"
    save_model(
        keras.Sequential(
            [keras.Input((4, 4, 1)), keras.layers.Flatten(), InverseError(name="odd"), keras.layers.Dense(2)]
        ),
        path,
    )
    with pytest.raises(ExportError, match="operator Erfinv of layer odd"):
        kdcompress.export(path, ["onnx"])
    assert not (tmp_path / "odd-exports").exists()
