"""Backbones of keras_hub as zoo models; presets are made here, since none can be downloaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_runs import distill

import kdcompress
from kdcompress.config.initialization import Initialization, initialization_settings
from kdcompress.config.references import check_model_reference
from kdcompress.errors import MissingExtraError, ModelError
from kdcompress.models import load_model
from kdcompress.models.families import keras_hub
from kdcompress.plugins import is_reference
from kdcompress.runs.folder import RunFolder

SHAPE = (40, 36, 3)


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small ResNet that standardizes pixels, and its folder."""
    hub = pytest.importorskip("keras_hub", reason="keras_hub is not installed")
    folder = tmp_path_factory.mktemp("presets") / "small"
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
        image_shape=(None, None, 3),
    )  # fmt: skip
    converter = hub.layers.ResNetImageConverter(scale=[0.01, 0.02, 0.03], offset=[-1.0, -2.0, -3.0])
    preprocessor = hub.models.ResNetImageClassifierPreprocessor(converter)
    hub.models.ResNetImageClassifier(backbone, num_classes=9, preprocessor=preprocessor).save_to_preset(str(folder))
    return backbone, folder


def test_a_preset_with_its_weights_and_preprocessing(preset: tuple[Any, Path], tmp_path: Path) -> None:
    backbone, folder = preset
    notes: list[str] = []
    name = f"keras_hub:{folder}"
    model = load_model(name, SHAPE, 4, "student", initialization=Initialization("imagenet"), note=notes.append)
    assert notes == [f"student {name}: weights of the preset, but for the head"]
    model.save(tmp_path / "student.keras")
    sys.modules.pop("keras_hub", None)
    again = keras.saving.load_model(tmp_path / "student.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.float32)
    scaled = pixels * [0.01, 0.02, 0.03] + [-1, -2, -3]
    expected = np.asarray(backbone(scaled.astype(np.float32), training=False)).mean(axis=(1, 2))
    got = np.asarray(keras.Model(again.input, again.get_layer("pool").output)(pixels, training=False))
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())
    fresh = load_model(name, SHAPE, 4, "student")
    assert not np.allclose(fresh.get_weights()[0], model.get_weights()[0])


def test_it_takes_the_images_that_it_is_made_for(preset: tuple[Any, Path]) -> None:
    with pytest.raises(ModelError, match=r'takes images of \?x\?x3, got 40x36x1; data.size and data.colour = "rgb"'):
        load_model(f"keras_hub:{preset[1]}", (40, 36, 1), 4, "student")
    with pytest.raises(ModelError, match="keras_hub:nowhere is no preset that can be loaded here"):
        load_model("keras_hub:nowhere", SHAPE, 4, "student")


def test_a_preset_that_does_not_say_how_pixels_are_scaled_is_refused(preset: tuple[Any, Path], tmp_path: Path) -> None:
    backbone, _ = preset
    backbone.save_to_preset(str(tmp_path / "bare"))
    with pytest.raises(ModelError, match="does not say which pixels it takes"):
        load_model(f"keras_hub:{tmp_path / 'bare'}", SHAPE, 4, "student")


def test_the_name_is_no_code_and_needs_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "keras_hub:resnet_18_imagenet"
    assert not is_reference(name)
    assert check_model_reference(name, "student.model", "student") == name
    assert initialization_settings(name) == {"pretrained": "none"}
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install keras-hub"):
        load_model(name, SHAPE, 4, "student")


def test_a_stranger_s_run_loads_no_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset is read, downloaded and made of the classes that it names: a run's recipe cannot have that done."""
    run = distill(tmp_path / "run", epochs=1)
    recipe = run.path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"tiny_models:teacher"', '"keras_hub:hf://stranger/model"'))
    RunFolder(run.path).commit("recipe.toml")

    def build(*_: Any) -> None:
        pytest.fail("a preset is loaded")

    monkeypatch.setattr(keras_hub, "_build", build)
    assert kdcompress.verify(run.path).teacher.params == run.result.teacher.params
