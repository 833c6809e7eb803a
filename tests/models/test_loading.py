from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_models

from kdcompress.errors import ModelError
from kdcompress.models import load_model, load_saved_model, model_digest, save_model, seed_everything

SHAPE = (28, 28, 1)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("no_such_module:build", "no module 'no_such_module' here or among the installed packages"),
        ("tiny_models:absent", "module tiny_models has no function 'absent'"),
        ("tiny_models:not_callable", "module tiny_models has no function 'not_callable'"),
        ("tiny_models:raises", "raises RuntimeError: out of cheese"),
        ("tiny_models:quits", "raises SystemExit"),
        ("tiny_models:no_model", "returns int; it must return a Keras 3 model"),
        ("tiny_models:five_classes", "has 5 classes, the data has 10 classes"),
        ("tiny_models:colour", "takes images of 32x32x3, the data has 28x28x1"),
    ],
)
def test_functions_that_give_no_usable_model(reference: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(reference, SHAPE, 10, "teacher")
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"teacher {reference}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.keras cannot be loaded as a Keras model"):
        load_saved_model(path)


def test_a_truncated_model_file(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    save_model(tiny_models.plain(), path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_saved_model(path)


def test_unknown_custom_layers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = tiny_models.subclassed()
    model(np.zeros((1, *SHAPE), np.float32))
    model.save(path)
    code = (
        "import sys; from pathlib import Path; from kdcompress.models import load_saved_model\n"
        "from kdcompress.errors import ModelError\n"
        "try:\n    load_saved_model(Path(sys.argv[1]))\nexcept ModelError as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert "its custom class 'Subclassed' is not known here; give the model as module:function" in done.stdout


def test_a_lambda_layer_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Lambda(lambda x: x / 255), keras.layers.Flatten()])
    model.save(path)
    with pytest.raises(ModelError, match=r"Lambda layer .*, which could run any code"):
        load_saved_model(path)


def test_a_subclassed_model_is_built() -> None:
    model = load_model("tiny_models:subclassed", SHAPE, 10, "student")
    assert model.count_params() == 7850


def test_a_sequential_without_input_keeps_its_batch_open() -> None:
    assert load_model("tiny_models:without_input", SHAPE, 10, "student").input_shape == (None, *SHAPE)


def test_saved_uncompiled_and_whole(tmp_path: Path) -> None:
    model = tiny_models.student()
    model.compile("adam", loss=lambda y, z: z)
    model.optimizer.build(model.trainable_variables)
    save_model(model, tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == [tmp_path / "m.keras"]
    again = keras.saving.load_model(tmp_path / "m.keras")  # as a user would, with no custom loss at hand
    assert not again.compiled
    images = np.random.default_rng(0).integers(0, 255, (4, *SHAPE)).astype(np.float32)
    assert np.array_equal(np.asarray(again(images)), np.asarray(model(images)))
    assert model_digest(again) == model_digest(model)


def test_digest_knows_weights_and_architecture_but_not_names() -> None:
    digests = []
    for _ in range(2):
        seed_everything(3)
        digests.append(model_digest(tiny_models.teacher()))  # layers are numbered on: other names
    assert digests[0] == digests[1]
    model = tiny_models.teacher()
    before = model_digest(model)
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] += 1e-3
    model.set_weights(weights)
    assert model_digest(model) != before
    # A layer may bear the name of its activation.
    activation = keras.layers.Activation
    named = (keras.Sequential([keras.Input((4,)), activation(name, name=name)]) for name in ("relu", "tanh"))
    assert len({model_digest(model) for model in named}) == 2
    dense = keras.layers.Dense
    one, other = (
        keras.Sequential([keras.Input((4,)), dense(3, activation=name, kernel_initializer="zeros")])
        for name in ("relu", "tanh")
    )
    assert model_digest(one) != model_digest(other)


def test_a_model_that_meets_raw_pixels_with_its_weights_is_known() -> None:
    from keras import layers

    from kdcompress.models import lacks_rescaling

    def model(*inside: keras.layers.Layer) -> keras.Model:
        return keras.Sequential([keras.Input(SHAPE), *inside, layers.Dense(10)])

    assert lacks_rescaling(model(layers.Flatten()))
    assert lacks_rescaling(model(layers.Conv2D(3, 3), layers.Flatten()))
    assert lacks_rescaling(keras.Sequential([keras.Input(SHAPE), model(layers.Flatten())]))
    assert not lacks_rescaling(model(layers.Rescaling(1 / 255), layers.Flatten()))
    assert not lacks_rescaling(model(layers.BatchNormalization(), layers.Flatten()))
    assert lacks_rescaling(model(layers.RandomHue(0.2), layers.RandomErasing(), layers.MixUp(), layers.Flatten()))
    assert lacks_rescaling(model(layers.Normalization(), layers.Flatten()))
    assert not lacks_rescaling(model(layers.Normalization(mean=33.0, variance=6000.0), layers.Flatten()))
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(0).integers(0, 256, (20, *SHAPE)).astype("float32"))
    assert not lacks_rescaling(model(adapted, layers.Flatten()))
    image = keras.Input(SHAPE)
    assert not lacks_rescaling(keras.Model(image, layers.Dense(10)(layers.Flatten()(image / 255.0))))
    assert not lacks_rescaling(tiny_models.subclassed())


def test_a_file_that_a_newer_keras_saved_is_told_so(tmp_path: Path) -> None:
    path, newer = tmp_path / "m.keras", tmp_path / "newer.keras"
    tiny_models.student().save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "config.json":
                text = text.replace(b'"units"', b'"a_setting_of_next_year": null, "units"')
            if name == "metadata.json":
                text = json.dumps({**json.loads(text), "keras_version": "99.1.0"}).encode()
            new.writestr(name, text)
    with pytest.raises(ModelError, match=r"Keras 99\.1\.0 saved it, which is newer than Keras 3\.\d+.* here: update"):
        load_saved_model(newer)
