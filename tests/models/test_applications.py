"""Every network of keras.applications as a zoo model: its size, preprocessing and published weights."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from kdcompress import registry
from kdcompress.config.references import check_model_reference
from kdcompress.errors import ModelError, RecipeError
from kdcompress.models import lacks_rescaling, load_model, seed_everything
from kdcompress.models._applications import APPLICATIONS
from kdcompress.models._pretrained import load_pretrained
from kdcompress.plugins import FAMILIES
from kdcompress.verification.flops import count_flops

# One of each kind of preprocessing, with and without names for all layers: `make test` has these
QUICK = ("MobileNetV3Small", "ResNet50", "EfficientNetB0", "InceptionV3")
# One of each other family
OTHERS = (
    "ConvNeXtTiny", "DenseNet121", "EfficientNetV2B0", "EfficientNetV2S", "InceptionResNetV2", "MobileNet",
    "MobileNetV2", "MobileNetV3Large", "NASNetMobile", "ResNet50V2", "VGG16", "Xception",
)  # fmt: skip
EXHAUSTIVE = (pytest.mark.slow, pytest.mark.exhaustive)
FAMILY_MEMBERS = [*QUICK, *(pytest.param(name, marks=EXHAUSTIVE) for name in OTHERS)]
ALL = [name if name in (*QUICK, "MobileNetV2") else pytest.param(name, marks=EXHAUSTIVE) for name in APPLICATIONS]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def shape_of(name: str) -> tuple[int, int, int]:
    smallest = APPLICATIONS[name].smallest
    return smallest, smallest + 9, 3


def theirs(name: str, **settings: Any) -> Any:
    return getattr(keras.applications, name)(include_top=False, weights=None, **settings)


def preprocess(name: str, pixels: np.ndarray) -> np.ndarray:
    """As Keras documents it; EfficientNet's own layers have statistics only with the published weights."""
    if name.startswith("EfficientNetB"):
        return (pixels / 255 - MEAN) / STD * 255
    module = importlib.import_module(getattr(keras.applications, name).__module__)
    return module.preprocess_input(pixels.copy())


def randomize(model: Any) -> None:
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            continue
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            weights[-1] = weights[-1] + 0.1
        layer.set_weights([value * rng.uniform(0.8, 1.2, value.shape) for value in weights])


def test_the_list_is_that_of_keras() -> None:
    functions = {name for name in dir(keras.applications) if callable(getattr(keras.applications, name))}
    assert set(APPLICATIONS) == functions
    assert registry.family_choices("models")[0] == "keras:ConvNeXtBase"
    assert set(registry._families("models")) <= set(FAMILIES)


@pytest.mark.parametrize("name", FAMILY_MEMBERS)
def test_pixels_go_in_as_they_are_and_published_weights_fit(name: str, tmp_path: Path) -> None:
    """The features of raw pixels are those of Keras's network behind its own preprocess_input, after a save, too."""
    shape = shape_of(name)
    seed_everything(1)
    ours = load_model(f"keras:{name}", shape, 5, "student")
    features = ours.layers[-1].kernel.shape[0]
    assert ours.count_params() == APPLICATIONS[name].parameters + 5 * (features + 1)
    assert not lacks_rescaling(ours)
    names = [layer.name for layer in ours.layers]
    reference = theirs(name, input_shape=shape, pooling="avg")
    randomize(reference)
    with h5py.File(tmp_path / "published.h5", "w") as file:
        save_weights_to_hdf5_group(file, reference)
    note = load_pretrained(ours, tmp_path / "published.h5", f"student keras:{name}")
    assert note.endswith("fresh: logits")
    ours.save(tmp_path / "student.keras")
    again = keras.saving.load_model(tmp_path / "student.keras")
    assert [layer.name for layer in again.layers] == names
    pixels = np.random.default_rng(2).integers(0, 256, (2, *shape)).astype(np.float32)
    expected = np.asarray(reference(preprocess(name, pixels), training=False))
    got = np.asarray(keras.Model(again.input, again.layers[-1].input)(pixels, training=False))
    assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_the_published_file_is_that_which_keras_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Requested(Exception):
        pass

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> None:
        raise Requested(fname, origin, file_hash)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    application, architecture = APPLICATIONS[name], registry.load("models", f"keras:{name}")
    widths = {"MobileNet": (0.25, 0.5, 0.75), "MobileNetV2": (0.35, 1.3)}.get(name, (0.75,))
    for width in (1.0, *widths) if application.scalable else (None,):
        for size in (128, 224) if application.scalable else (APPLICATIONS[name].smallest,):
            with pytest.raises(Requested) as caught:
                getattr(keras.applications, name)(
                    include_top=False,
                    weights="imagenet",
                    input_shape=(size, size, 3),
                    **({"alpha": width} if width else {}),
                )
            file = architecture.published((size, size, 3), *([width] if width else []))
            assert (file.path.name, file.url, file.digest) == caught.value.args


def test_widths_without_published_weights_are_named() -> None:
    with pytest.raises(ModelError, match=r"keras:MobileNetV3Small exist for the widths 0.75, 1.0, got 0.5"):
        registry.load("models", "keras:MobileNetV3Small").published((224, 224, 3), 0.5)


def test_layers_have_the_same_names_whatever_was_built_before() -> None:
    build = registry.load("models", "keras:MobileNetV3Small").build
    first = build((32, 32, 3), 2)
    keras.layers.Conv2D(2, 1)(np.zeros((1, 2, 2, 3)))
    names = [operation.name for operation in build((32, 32, 3), 2).operations]
    assert names == [operation.name for operation in first.operations]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((32, 32, 1), 'takes RGB images, got 32x32x1; data.colour = "rgb"'), ((40, 70, 3), "at least 71x71 pixels")],
)
def test_images_that_do_not_fit_are_refused(shape: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ModelError, match="Xception takes") as caught:
        load_model("keras:Xception", shape, 2, "student")
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["efficientnetv2b0", "EfficientNetV2B0", "keras:efficientnetv2b0"])
def test_a_mistyped_name_is_told_the_right_one(text: str) -> None:
    with pytest.raises(RecipeError, match="did you mean 'keras:EfficientNetV2B0'"):
        check_model_reference(text, "student.model", "student")
    with pytest.raises(RecipeError, match="unknown model"):
        check_model_reference("keras:load_model", "student.model", "student")


@pytest.mark.parametrize(("size", "width"), [(96, 1.0), (224, 0.35), (320, 1.4)])
def test_estimates_are_right_within_a_factor_of_2(size: int, width: float) -> None:
    """What `suggest` leaves out unbuilt must be too large."""
    architecture, shape = registry.load("models", "keras:MobileNetV2"), (size, size, 3)
    counted = count_flops(architecture.build(shape, 10, width=width), shape)
    assert 0.5 < architecture.estimate_flops(shape, width) / counted < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV2",
        "MobileNetV3Small",
        *(pytest.param(name, marks=EXHAUSTIVE) for name in ("EfficientNetB0", "MobileNet", "ResNet50")),
    ],
)
def test_listed_flops_are_those_that_verify_counts(name: str) -> None:
    shape = (224, 224, 3)
    counted = count_flops(registry.load("models", f"keras:{name}").build(shape, 10), shape)
    assert counted == pytest.approx(1e9 * APPLICATIONS[name].gflops, rel=0.005)
