"""Quantization-aware training of a run's student, against quantization after training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from own_tuning import OwnTuning

import kdcompress
from kdcompress.compression import qat
from kdcompress.config.compress import CompressSection
from kdcompress.data import Dataset, Samples
from kdcompress.data.stores import MappedImages
from kdcompress.exporting import open_exported
from kdcompress.models import load_saved_model
from kdcompress.quantization import KERNEL_LIMIT, Quantization, align_pixels, finish_rounding, fold, start_rounding


def better(*values: object) -> dict[str, float | None]:
    return {"value": 0.01, "low": 0.001, "high": 0.02}


def worse(*values: object) -> dict[str, float | None]:
    return {"value": 0.0, "low": -0.01, "high": 0.01}


@pytest.fixture(scope="module")
def trained(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a student of trained integers, which beats quantization after training by decree."""
    folder = tmp_path_factory.mktemp("trained")
    run = Path(shutil.copytree(_finished, folder / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        patch.setattr(qat, "paired_difference", better)
        kdcompress.compress(run, qat="native", epochs=1)
    return run


def test_the_files_hold_the_trained_integers(trained: Path) -> None:
    student = trained / "students" / "qat"
    quantization = Quantization.load(student / "quantization.json")
    model = load_saved_model(student / "student.keras")
    for name, scales in quantization.kernels.items():
        steps = model.get_layer(name).get_weights()[0] / np.array(scales)
        assert np.abs(steps - np.rint(steps)).max() < 1e-3 and np.abs(steps).max() < KERNEL_LIMIT + 1e-3
    exports = json.loads((student / "exports" / "exports.json").read_text())["artefacts"]
    assert [(entry["format"], entry["precision"], entry["calibration"]) for entry in exports] == [
        ("onnx", "int8", None),
        ("tflite", "int8", None),
    ]
    images = np.random.default_rng(0).integers(0, 256, (32, *model.input_shape[1:]), np.uint8)
    first, second = (open_exported(student / entry["path"]).run(images) for entry in exports)
    assert np.array_equal(first, second)
    assert json.loads((student / "compress.json").read_text())["steps"]["qat"]["shipped"] == "qat"
    assert json.loads((student / "manifest.json").read_text())["files"]["quantization.json"]


def test_what_does_not_beat_quantization_after_training_is_not_shipped(
    _finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(_finished, tmp_path / "run"))
    monkeypatch.setattr(qat, "paired_difference", worse)
    kdcompress.compress(run, qat="native", epochs=1)
    student = run / "students" / "qat"
    assert not (student / "quantization.json").exists()
    document = json.loads((student / "compress.json").read_text())
    assert document["steps"]["qat"]["shipped"] == "ptq"
    before, after = (load_saved_model(folder / "student.keras").get_weights() for folder in (run, student))
    assert all(map(np.array_equal, before, after))
    assert [entry["calibration"]["source"] for entry in _exports(student)] == ["train", "train"]


class Blocks(MappedImages):
    """Images of a file that remember how many were read at a time."""

    largest = 0

    def __getitem__(self, rows: Any) -> Any:
        images = super().__getitem__(rows)
        Blocks.largest = max(Blocks.largest, len(images))
        return images


def test_validation_images_are_compared_in_blocks(digits: Dataset, tmp_path: Path) -> None:
    tuning: Any = OwnTuning(digits.train.take(np.arange(300)), tmp_path, CompressSection(qat="native"))
    samples = tuning.train_samples
    tuning.val = Samples(Blocks(samples.images[:]), samples.labels, samples.ids)
    model = align_pixels(fold(tiny_models.student()))
    plain, quantization = finish_rounding(start_rounding(model, samples.images))
    assert qat.compare(model, plain, quantization, tuning)["validation_images"] == 300
    assert 0 < Blocks.largest <= 256


def _exports(student: Path) -> list[dict[str, dict[str, str]]]:
    entries: list[dict[str, dict[str, str]]] = json.loads((student / "exports" / "exports.json").read_text())[
        "artefacts"
    ]
    return entries
