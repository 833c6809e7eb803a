from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from kdcompress import registry
from kdcompress.config.initialization import Initialization, initialization_settings
from kdcompress.errors import ModelError
from kdcompress.models import load_model, seed_everything
from kdcompress.verification.flops import count_flops

NAMES = ("resnet50v2", "mobilenetv2")


@pytest.mark.parametrize(
    ("name", "params", "flops"), [("resnet50v2", 23_568_898, 6_988_381_826), ("mobilenetv2", 2_260_546, 612_731_330)]
)
def test_the_paper_s_counts(name: str, params: int, flops: int) -> None:
    model = registry.load("models", name).build((224, 224, 3), 2)
    assert model.count_params() == params
    assert count_flops(model, (224, 224, 3)) == flops


@pytest.mark.parametrize("name", NAMES)
def test_one_flat_graph_from_raw_pixels_to_logits(name: str) -> None:
    model = load_model(name, (96, 130, 3), 4, "teacher")
    assert (model.input_shape, model.output_shape) == ((None, 96, 130, 3), (None, 4))
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    first, second, *_, last = model.layers
    assert (first.name, second.name, last.name) == ("image", "scale", "logits")
    assert model.get_layer("pool").output.shape == (None, last.kernel.shape[0])
    pixels = np.array([0, 127.5, 255], np.float32).reshape(1, 1, 1, 3)
    assert np.allclose(second(pixels), [-1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_layers_have_the_same_names_whatever_was_built_before(name: str, tmp_path: Path) -> None:
    build = registry.load("models", name).build
    first = build((96, 96, 3), 2)
    keras.Sequential([keras.Input((4, 4, 3)), keras.layers.MaxPooling2D(), keras.layers.ReLU()])
    second = build((96, 96, 3), 2)
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in second.layers]
    assert len(set(names)) == len(names)
    assert not any(name.startswith(("max_pooling2d", "re_lu", "add", "input", "rescaling")) for name in names)
    second.save(tmp_path / "m.keras")
    assert [layer.name for layer in keras.saving.load_model(tmp_path / "m.keras").layers] == names


def test_the_same_seed_gives_the_same_first_weights() -> None:
    found = []
    for seed in (3, 3, 4):
        seed_everything(seed)
        found.append(load_model("mobilenetv2", (96, 96, 3), 2, "student").get_weights())
    assert all(np.array_equal(one, other) for one, other in zip(found[0], found[1], strict=True))
    assert not np.array_equal(found[0][-2], found[2][-2])


@pytest.mark.parametrize("width", [0.35, 0.6, 1.4])
def test_the_width_is_that_of_keras(width: float) -> None:
    model = load_model("mobilenetv2", (96, 96, 3), 3, "student", initialization=Initialization(width=width))
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3), alpha=width)
    assert model.count_params() == theirs.count_params() + 3 * (theirs.output_shape[-1] + 1)


def test_which_models_know_which_settings() -> None:
    assert initialization_settings("mobilenetv2") == {"pretrained": "none", "width": 1.0}
    assert initialization_settings("resnet50v2") == {"pretrained": "none"}
    for model in ("mnist_cnn", "mnist_mlp", "big.keras", "module:function"):
        assert initialization_settings(model) == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((95, 224, 3), "takes images of at least 96x96 pixels, got 95x224x3; data.size scales own images"),
        ((224, 28, 3), "takes images of at least 96x96 pixels, got 224x28x3"),
        ((96, 96, 1), 'takes RGB images, got 96x96x1; data.colour = "rgb" makes own images RGB'),
        ((96, 96, 4), "takes RGB images, got 96x96x4"),
    ],
)
def test_images_that_do_not_fit(name: str, shape: tuple[int, int, int], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(name, shape, 2, "student")
    assert str(caught.value).startswith(f"{name} {words}")
