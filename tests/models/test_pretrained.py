from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from conftest import WHOLE

from kdcompress import registry
from kdcompress.config.initialization import Initialization
from kdcompress.errors import ModelError
from kdcompress.models import load_model, seed_everything

pytestmark = pytest.mark.slow

SHAPE = (96, 96, 3)
SHARED = Path(WHOLE or ".") / "weights"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras's cache is empty, and nothing can be downloaded into it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("urllib.request._opener", None)  # urlopen keeps the proxies that it met first
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """Other values in all weights, and in BatchNorm's statistics too, of a size that keeps outputs moderate."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        values = [value * rng.uniform(0.8, 1.2, value.shape) for value in layer.get_weights()]
        if isinstance(layer, keras.layers.BatchNormalization):
            values[1:3] = [rng.normal(0, 0.1, value.shape) for value in values[1:3]]
        layer.set_weights(values)
    return model


def mobilenet(**settings: Any) -> keras.Model:
    settings = {"include_top": False, "weights": None, "input_shape": SHAPE, **settings}
    return keras.applications.MobileNetV2(**settings)


def resnet(**settings: Any) -> keras.Model:
    settings = {"include_top": False, "weights": None, "input_shape": SHAPE, **settings}
    return keras.applications.ResNet50V2(**settings)


def pixels(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (2, *shape)).astype(np.float32)


def features(model: keras.Model, layer: str) -> np.ndarray:
    """What a layer of ours gives for raw pixels."""
    inner = keras.Model(model.input, model.get_layer(layer).output)
    return np.asarray(inner(pixels(model.input_shape[1:]), training=False))


def loaded(name: str, start: Initialization | Path, notes: list[str] | None = None, **how: Any) -> keras.Model:
    start = start if isinstance(start, Initialization) else Initialization(str(start))
    how = {"input_shape": SHAPE, "outputs": 2, "role": "student", **how}
    seed_everything(0)
    return load_model(name, initialization=start, note=[].append if notes is None else notes.append, **how)


def newer(model: keras.Model, path: Path) -> Path:
    model.save_weights(path.with_suffix(".weights.h5"))
    return path.with_suffix(".weights.h5")


def whole(model: keras.Model, path: Path) -> Path:
    model.save(path.with_suffix(".keras"))
    return path.with_suffix(".keras")


def whole_older(model: keras.Model, path: Path) -> Path:
    model.save(path.with_suffix(".h5"))
    return path.with_suffix(".h5")


def older(model: keras.Model, path: Path) -> Path:
    """As Keras 2 wrote weights alone: the group of weights of a whole older file, as a file of its own."""
    with h5py.File(whole_older(model, path.with_name("whole"))) as tree, h5py.File(path.with_suffix(".h5"), "w") as to:
        for key in tree["model_weights"]:
            tree.copy(tree["model_weights"][key], to, key)
        for key, value in tree["model_weights"].attrs.items():
            to.attrs[key] = value
    return path.with_suffix(".h5")


def more(*values: Any) -> Any:
    """Parameters of which `make test` has met their like: it has both forms of weights alone, as they are published."""
    return pytest.param(*values, marks=pytest.mark.exhaustive)


@pytest.mark.parametrize("write", [newer, older, more(whole), more(whole_older)])
def test_the_loaded_network_is_keras_s_own(write: Callable[[Any, Path], Path], tmp_path: Path) -> None:
    theirs, notes = randomised(mobilenet()), []
    path = write(theirs, tmp_path / "w")
    ours = loaded("mobilenetv2", path, notes)
    expected = np.asarray(theirs(pixels() / 127.5 - 1, training=False))
    assert expected.std() > 0.01
    assert np.allclose(features(ours, "out_relu"), expected, atol=1e-5)
    assert notes == [
        f"student mobilenetv2: 104 of 105 layers with weights from {path} (up to Conv_1_bn); fresh: logits"
    ]
    fresh = loaded("mobilenetv2", Initialization())
    assert np.array_equal(ours.layers[-1].kernel, fresh.layers[-1].kernel)


def test_a_file_of_the_first_layers_fills_those(tmp_path: Path) -> None:
    theirs, notes = randomised(resnet()), []
    first = keras.Model(theirs.input, theirs.get_layer("conv4_block6_out").output)
    path = newer(first, tmp_path / "first")
    ours, fresh = loaded("resnet50v2", path, notes), loaded("resnet50v2", Initialization())
    expected = np.asarray(first(pixels() / 127.5 - 1, training=False))
    assert np.allclose(features(ours, "conv4_block6_out"), expected, atol=1e-4 * np.abs(expected).max())
    assert notes == [
        f"student resnet50v2: 82 of 103 layers with weights from {path} (up to conv4_block6_3_conv); "
        "fresh: conv5_block1_preact_bn ... logits"
    ]
    behind = [layer.name for layer in ours.layers if layer.weights and layer.name.startswith(("conv5", "post", "log"))]
    assert len(behind) == 103 - 82
    for name in behind:
        values = zip(ours.get_layer(name).get_weights(), fresh.get_layer(name).get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in values)


def test_a_model_of_ours_is_taken_with_its_head_or_without(tmp_path: Path) -> None:
    theirs, notes = randomised(loaded("mobilenetv2", Initialization())), []
    path = newer(theirs, tmp_path / "ours")
    same = loaded("mobilenetv2", path, notes)
    assert np.allclose(same(pixels(), training=False), theirs(pixels(), training=False), atol=1e-6)
    other = loaded("mobilenetv2", path, notes, outputs=4)
    assert other.output_shape == (None, 4)
    assert notes[0].endswith(f"105 of 105 layers with weights from {path}, its head of 2 outputs among them")
    assert notes[1].endswith(f"104 of 105 layers with weights from {path} (up to Conv_1_bn); fresh: logits")


@pytest.mark.parametrize("write", [older, more(newer)])
def test_a_classifier_s_own_head_is_left_out(write: Callable[[Any, Path], Path], tmp_path: Path) -> None:
    notes: list[str] = []
    loaded("mobilenetv2", write(mobilenet(include_top=True, classes=7), tmp_path / "w"), notes)
    assert notes[0].endswith("(up to Conv_1_bn); fresh: logits")


OTHERS: list[tuple[str, Callable[[], Any], str]] = [
    ("resnet50v2", mobilenet, "it has no layer conv1_conv (7x7x3x64, 64) but "),
    ("mobilenetv2", resnet, "it has no layer Conv1 (3x3x3x32) but "),
    ("mobilenetv2", lambda: mobilenet(alpha=0.5), "layer Conv1 is 3x3x3x16 there and 3x3x3x32 here"),
    (
        "resnet50v2",
        lambda: keras.applications.ResNet101V2(include_top=False, weights=None, input_shape=SHAPE),
        "its layer conv4_block7_preact_bn (1024, 1024, 1024, 1024) is not here",
    ),
]


@pytest.mark.parametrize(
    ("name", "network", "words", "write"),
    [*((*other, older) for other in OTHERS[1:]), (*OTHERS[0], newer), more(*OTHERS[0], older)]
    + [more(*other, newer) for other in OTHERS[1:]],
)
def test_another_architecture_is_refused(
    name: str, network: Callable[[], Any], words: str, write: Callable[[Any, Path], Path], tmp_path: Path
) -> None:
    path = write(network(), tmp_path / "w")
    with pytest.raises(ModelError) as caught:
        loaded(name, path)
    assert str(caught.value).startswith(f"student {name}: {path} is of another architecture: ")
    assert words.split("_preact")[0] in str(caught.value)
    if write is older:  # which knows the order of its layers
        assert words in str(caught.value)


def test_a_file_with_a_gap_is_refused(tmp_path: Path) -> None:
    path = older(mobilenet(), tmp_path / "w")
    with h5py.File(path, "a") as tree:
        tree.attrs["layer_names"] = [name for name in tree.attrs["layer_names"] if name != "block_3_project"]
    with pytest.raises(
        ModelError, match=r"lacks layer block_3_project \(1x1x144x32\) but has block_3_project_BN behind"
    ):
        loaded("mobilenetv2", path)


def test_files_without_usable_weights(tmp_path: Path) -> None:
    sound = newer(mobilenet(), tmp_path / "sound")
    cut, text, empty, zipped = (tmp_path / name for name in ("cut.h5", "text.h5", "empty.h5", "text.keras"))
    cut.write_bytes(sound.read_bytes()[:-1000])
    text.write_text("no weights")
    zipped.write_text("no weights")
    h5py.File(empty, "w").close()
    nan = older(mobilenet(), tmp_path / "nan")
    with h5py.File(nan, "a") as tree:
        kernel = next(iter(tree["Conv_1"].attrs["weight_names"]))
        tree["Conv_1"][kernel][0, 0, 0, 0] = np.nan
    for path, words in [
        (cut, "is truncated, damaged or none of Keras: OSError"),
        (text, "is truncated, damaged or none of Keras: OSError"),
        (zipped, "is truncated, damaged or none of Keras: BadZipFile"),
        (empty, "holds no weights with names of layers"),
        (nan, "holds values in layer Conv_1 that are no numbers"),
        (tmp_path / "gone.h5", "does not exist"),
    ]:
        with pytest.raises(ModelError) as caught:
            loaded("mobilenetv2", path)
        assert str(path) in str(caught.value)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50v2"])
@pytest.mark.parametrize("size", [96, 100, more(224)])
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
def test_the_file_is_that_which_keras_asks_for(name: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """keras.applications itself says which file it would download, and its checksum."""

    class Asked(Exception):
        pass

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> None:
        raise Asked(fname, origin, file_hash)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    network = {"mobilenetv2": mobilenet, "resnet50v2": resnet}[name]
    for width in (0.35, 1.0, 1.4) if name == "mobilenetv2" else (None,):
        with pytest.raises(Asked) as caught:
            network(weights="imagenet", input_shape=(size, size, 3), **({"alpha": width} if width else {}))
        file = registry.load("models", name).published((size, size, 3), *([width] if width else []))
        assert (file.path.name, file.url, file.digest) == caught.value.args


def test_imagenet_comes_from_keras_s_cache(tmp_path: Path) -> None:
    theirs, notes = randomised(mobilenet(alpha=0.5)), []
    file = registry.load("models", "mobilenetv2").published(SHAPE, 0.5)
    file.path.parent.mkdir(parents=True)
    older(theirs, tmp_path / "w").rename(file.path)
    assert file.path.is_relative_to(tmp_path / "keras" / "models")
    ours = loaded("mobilenetv2", Initialization("imagenet", 0.5), notes)
    expected = np.asarray(theirs(pixels() / 127.5 - 1, training=False))
    assert np.allclose(features(ours, "out_relu"), expected, atol=1e-5)
    assert notes[0].startswith(f"student mobilenetv2: 104 of 105 layers with weights from {file.path}")


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet50v2"])
def test_without_network_the_error_says_where_the_file_belongs(name: str, tmp_path: Path) -> None:
    file, start = registry.load("models", name).published(SHAPE), time.monotonic()
    if name == "resnet50v2":  # a file in the cache that Keras knows is not the right one
        file.path.parent.mkdir(parents=True)
        file.path.write_bytes(b"half a download")
    with pytest.raises(ModelError) as caught:
        loaded(name, Initialization("imagenet"), role="teacher")
    assert time.monotonic() - start < 20
    for words in (f"teacher {name}: ", f"put {file.url} at {file.path}", 'teacher.pretrained = "PATH"'):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_imagenet_has_keras_s_widths_alone() -> None:
    with pytest.raises(ModelError, match=r"the widths 0\.35, 0\.5, 0\.75, 1\.0, 1\.3, 1\.4, got 0\.6"):
        loaded("mobilenetv2", Initialization("imagenet", 0.6))


@pytest.mark.skipif(not SHARED.is_dir(), reason="no weights/ in KDCOMPRESS_DATA_DIR, or it is not set")
def test_the_shared_weights_give_keras_s_features() -> None:
    shape = (224, 224, 3)
    path = SHARED / "mobilenet_v2_1.0_224_no_top.h5"
    ours = loaded("mobilenetv2", path, input_shape=shape)
    theirs = mobilenet(weights=str(path), input_shape=shape)
    expected = np.asarray(theirs(pixels(shape) / 127.5 - 1, training=False))
    assert np.allclose(features(ours, "out_relu"), expected, atol=1e-4)
    path, notes = SHARED / "resnet50v2_224_conv1_to_conv4.h5", []
    ours = loaded("resnet50v2", path, notes, input_shape=shape)
    assert "82 of 103 layers" in notes[0]
    whole_theirs = resnet(input_shape=shape)
    theirs = keras.Model(whole_theirs.input, whole_theirs.get_layer("conv4_block6_out").output)
    theirs.load_weights(path)
    expected = np.asarray(theirs(pixels(shape) / 127.5 - 1, training=False))
    assert np.allclose(features(ours, "conv4_block6_out"), expected, atol=1e-4 * np.abs(expected).max())
