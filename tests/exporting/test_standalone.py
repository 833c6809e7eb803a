"""Models without a run: what makes their exports of little use is said, and what is no classifier is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_models
from conftest import Recorder
from keras import layers
from PIL import Image

import kdcompress
from kdcompress.errors import ModelError
from kdcompress.models import save_model


def model_of(*tail: Any) -> Any:
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten(), *tail])


def two_outputs() -> Any:
    image = keras.Input((8, 8, 1))
    flat = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(2)(flat), layers.Dense(3)(flat)])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (model_of(layers.Dense(4), layers.Reshape((2, 2))), "gives 2x2 numbers an image"),
        (two_outputs(), "has 2 outputs; it must give one"),
    ],
)
def test_what_is_no_classifier_is_refused(model: Any, words: str, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.keras")
    with pytest.raises(ModelError, match=words):
        kdcompress.export(tmp_path / "model.keras")
    assert not (tmp_path / "model-exports").exists()


def test_a_model_that_does_not_scale_its_pixels_is_warned_about(tmp_path: Path, recorder: Recorder) -> None:
    bare = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)])
    kdcompress.export(bare, "onnx", out=tmp_path / "bare", progress=recorder)
    assert any("does not scale its pixels itself" in warning for warning in recorder.warnings)
    unadapted = keras.Sequential([keras.Input((8, 8, 1)), layers.Normalization(), layers.Flatten(), layers.Dense(3)])
    recorder.warnings.clear()
    kdcompress.export(unadapted, "onnx", out=tmp_path / "unadapted", progress=recorder)
    assert any("does not scale its pixels itself" in warning for warning in recorder.warnings)
    scaled = Recorder()
    scaled.warnings, scaled.notes = [], []
    kdcompress.export(model_of(layers.Dense(3)), "onnx", out=tmp_path / "scaled", progress=scaled)
    assert scaled.warnings == []


class Normalized(keras.Model):  # type: ignore[misc]
    def __init__(self, normalize: Any) -> None:
        super().__init__()
        self.normalize, self.flat, self.head = normalize, layers.Flatten(), layers.Dense(3)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.head(self.flat(self.normalize(inputs)))


@pytest.mark.parametrize(("mean", "warned"), [(None, True), ([120.0], False)])
def test_a_normalization_that_was_never_adapted_is_found_in_a_subclassed_model(
    mean: Any, warned: bool, tmp_path: Path, recorder: Recorder
) -> None:
    model = Normalized(layers.Normalization(mean=mean, variance=mean and [3600.0]))
    model.build((None, 8, 8, 1))
    kdcompress.export(model, "onnx", out=tmp_path / "out", input_shape=(8, 8, 1), progress=recorder)
    assert any("does not scale its pixels itself" in warning for warning in recorder.warnings) == warned


def test_few_images_of_another_size_are_pointed_out(tmp_path: Path, recorder: Recorder) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (20, 30), np.uint8)
        Image.fromarray(pixels).save(photos / f"{index}.png")
    model = model_of(layers.Dense(3))
    kdcompress.export(model, "onnx", out=tmp_path / "out", calibration=photos, progress=recorder)
    assert any("3 images are few" in warning for warning in recorder.warnings)
    assert any("are scaled to 8x8 (0.png has 20x30)" in note for note in recorder.notes)


def test_module_function_serves_models_that_no_file_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kdcompress.verify("tiny_models:subclassed", input_shape=(28, 28, 1))["model"]["params"] == 7850
    assert kdcompress.export("tiny_models:only_onnx", "onnx")["passed"]
    assert (tmp_path / "only_onnx-exports/only_onnx-fp32.onnx").is_file()


def test_a_compiled_model_in_memory_stays_as_it_is() -> None:
    model = tiny_models.plain()
    model.compile("adam", "mse")
    optimizer = model.optimizer
    assert kdcompress.verify(model)["model"]["params"] == 7850
    assert model.compiled
    assert model.optimizer is optimizer


def test_a_custom_class_in_a_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(layers.Layer):
        pass

    registered = keras.saving.register_keras_serializable("lost_package")(Lost)
    save_model(model_of(registered(), layers.Dense(2)), tmp_path / "model.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "lost_package>Lost")
    with pytest.raises(ModelError, match="its custom class 'Lost' is not known here; give the model as module"):
        kdcompress.verify(tmp_path / "model.keras")
