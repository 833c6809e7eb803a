"""Keras files from anywhere: honest ones open as before; none runs code, reads a file, or claims what it has not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

from kdcompress.errors import ModelError
from kdcompress.formats.keras.config_check import check_config
from kdcompress.models import load_saved_model, load_weights
from kdcompress.models._weights import read_weights
from kdcompress.trust import trusting_code

SHAPE = (12, 12, 3)


def small() -> Any:
    return keras.Sequential(
        [keras.Input(SHAPE), layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)]
    )


def everything() -> Any:
    """Layers, operations, functions and objects of every kind that a configuration may hold."""
    image = keras.Input(SHAPE)
    found = layers.Conv2D(
        4, 3, activation="relu", kernel_regularizer="l2", kernel_constraint=keras.constraints.MaxNorm(2),
        kernel_initializer=keras.initializers.HeNormal(1), dtype=keras.DTypePolicy("float32"),
    )(layers.RandomFlip()(image))  # fmt: skip
    found = layers.DepthwiseConv2D(3)(layers.BatchNormalization()(ops.relu(found) + 1.0))
    found = layers.SeparableConv2D(4, 3)(layers.UpSampling2D()(layers.ReLU(6.0)(found)))
    row = ops.concatenate([ops.mean(found, axis=(1, 2)), ops.max(found, axis=(1, 2))], axis=-1)[:, 1:]
    row = layers.Activation(ops.sigmoid)(layers.Dense(8, activation=keras.activations.gelu)(row))
    steps = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Reshape((4, 2))(row))
    steps = layers.MultiHeadAttention(2, 4)(steps, steps) + layers.TimeDistributed(layers.Dense(6))(steps)
    steps = layers.RNN([layers.GRUCell(4), layers.LSTMCell(3)])(layers.LayerNormalization()(steps))
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(4), layers.LeakyReLU(), layers.Dropout(0.1)])
    inner.compile("adam", "mse", metrics=["mae"])
    return keras.Model(image, keras.activations.swish(inner(steps)))


@pytest.mark.parametrize("build", [small, everything])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_an_honest_model_opens_as_it_was(build: Callable[[], Any], suffix: str, tmp_path: Path) -> None:
    if build is everything and suffix == ".h5":
        pytest.skip("Keras's older format cannot hold operations between layers")
    model = build()
    model.compile("adam", "mse")
    model.save(tmp_path / f"m{suffix}")
    image = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    again = load_saved_model(tmp_path / f"m{suffix}")
    np.testing.assert_allclose(again(image, training=False), model(image, training=False), atol=1e-6)
    other = build()
    if suffix == ".keras":
        load_weights(other, tmp_path / "m.keras")
        np.testing.assert_allclose(other(image, training=False), model(image, training=False), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny", "DenseNet121", "InceptionResNetV2", "NASNetMobile"]
)
def test_networks_of_keras_applications_may_be_named(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None)
    check_config(json.loads(model.to_json()), name)


def test_a_class_that_the_user_registered_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Doubled(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    @keras.saving.register_keras_serializable("mine")
    def halved(inputs: Any) -> Any:
        return inputs / 2

    model = keras.Sequential([keras.Input((4,)), Doubled(), layers.Dense(2, activation=halved)])
    model.save(tmp_path / "m.keras")
    assert load_saved_model(tmp_path / "m.keras").output_shape == (None, 2)
    for name in ("Doubled", "halved"):
        monkeypatch.delitem(keras.saving.get_custom_objects(), f"mine>{name}")
    with pytest.raises(ModelError, match="its custom class 'Doubled' is not known here"):
        load_saved_model(Path(str(tmp_path / "m.keras")))


def hostile(path: Path, change: Callable[[dict[str, Any]], None], weights: bytes | None = None) -> Path:
    """A `.keras` file whose configuration was changed."""
    small().save(path.with_name("honest.keras"))
    with zipfile.ZipFile(path.with_name("honest.keras")) as honest, zipfile.ZipFile(path, "w") as made:
        for info in honest.infolist():
            content = honest.read(info)
            if info.filename == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config).encode()
            elif info.filename == "model.weights.h5" and weights is not None:
                content = weights
            made.writestr(info.filename, content)
    return path


def with_layer(module: str | None, name: str, registered: str | None = None, **config: Any) -> Any:
    def change(model: dict[str, Any]) -> None:
        layer = {"module": module, "class_name": name, "config": {"name": "evil", **config}}
        model["config"]["layers"].insert(2, {**layer, "registered_name": registered})

    return change


FUNCTION = {"class_name": "function", "config": "system", "module": "os", "registered_name": "system"}
LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None, "closure": None}}
HOSTILE = {
    "a Lambda with bytecode": with_layer("keras.layers", "Lambda", function=LAMBDA),
    "a Lambda without module": with_layer(None, "Lambda", function=LAMBDA),
    "a lambda for an activation": with_layer("keras.layers", "Activation", activation=LAMBDA),
    "TFSMLayer": with_layer("keras.layers", "TFSMLayer", filepath="x"),
    "TFSMLayer by another module": with_layer("keras.src.export.tfsm_layer", "TFSMLayer", filepath="x"),
    "CSVLogger": with_layer("keras.callbacks", "CSVLogger", filename="x"),
    "KerasFileEditor": with_layer("keras.saving", "KerasFileEditor", filepath="x"),
    "get_file": with_layer("keras.utils", "get_file", origin="http://127.0.0.1"),
    "os.system for an activation": with_layer("keras.layers", "Activation", activation=FUNCTION),
    "a function under a builtin's name": with_layer(
        "keras.layers", "Dense", units=3, activation={**FUNCTION, "module": "builtins", "config": "relu"}
    ),
    "an initializer elsewhere": with_layer(
        "keras.layers", "Dense", units=3, kernel_initializer={"module": "os", "class_name": "Zeros", "config": {}}
    ),
    "a class in a computing module": with_layer("keras.src.ops.core", "WhileLoop", cond=FUNCTION, body=FUNCTION),
    "an allowed name elsewhere": with_layer("subprocess", "Dense", units=3),
    "an allowed name that is registered": with_layer("keras.layers", "Dense", registered="os>system", units=3),
    "StringLookup of a file": with_layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
    "TextVectorization of a file": with_layer("keras.layers", "TextVectorization", vocabulary="/etc/passwd"),
    "TorchModuleWrapper": with_layer("keras.layers", "TorchModuleWrapper", lazy="x"),
    "__typespec__": with_layer("keras.layers", "Activation", activation={"class_name": "__typespec__", "config": []}),
    "inside TimeDistributed": with_layer(
        "keras.layers", "TimeDistributed", layer={"module": "keras.layers", "class_name": "Lambda", "config": {}}
    ),
    "inside RNN": with_layer("keras.layers", "RNN", cell=[[{"a": {"class_name": "TFSMLayer", "config": {}}}]]),
    "an inner model's loss": with_layer("keras", "Sequential", layers=[], compile_config={"loss": FUNCTION}),
    "no name at all": with_layer("keras.layers", "", x=1),
    "a name that is none": lambda model: model["config"]["layers"].insert(1, {"class_name": ["Dense"], "config": {}}),
    "the model itself": lambda model: model.update(module="os", class_name="system", registered_name="system"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_could_run_code_or_read_a_file_is_refused_before_keras_sees_it(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hostile(tmp_path / "m.keras", HOSTILE[kind])
    monkeypatch.setattr(keras.saving, "load_model", lambda *args, **kwargs: pytest.fail("Keras saw it"))
    with pytest.raises(ModelError, match=r"cannot be loaded as a Keras model: it|its custom class"):
        load_saved_model(path)


def test_trust_opens_a_lambda_for_one_call(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: 2 * x)]).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"Lambda layer \('lambda.*'\), which could run any code; .* --trust-code"):
        load_saved_model(tmp_path / "m.keras")
    with trusting_code():
        assert load_saved_model(tmp_path / "m.keras")(np.ones((1, 4)))[0, 0] == 2
    with pytest.raises(ModelError, match="Lambda layer"):
        load_saved_model(tmp_path / "m.keras")


def test_an_older_file_names_no_lambda_either(tmp_path: Path) -> None:
    small().save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as tree:
        config = json.loads(tree.attrs["model_config"])
        config["config"]["layers"].insert(2, {"class_name": "Lambda", "config": {"function": ["x", None, None]}})
        tree.attrs["model_config"] = json.dumps(config)
    with pytest.raises(ModelError, match="it holds a Lambda layer"):
        load_saved_model(tmp_path / "m.h5")


def test_a_model_may_not_be_larger_than_its_file(tmp_path: Path) -> None:
    path = hostile(tmp_path / "m.keras", with_layer("keras.layers", "Dense", units=2_000_000_000))
    with pytest.raises(ModelError, match=r"makes a model of more than .* bytes of weights .* and stores"):
        load_saved_model(path)
    deep = hostile(tmp_path / "deep.keras", lambda model: model.update(x=json.loads("[" * 400 + "]" * 400)))
    with pytest.raises(ModelError, match="nested more than 200 deep"):
        load_saved_model(deep)


def external_link(tree: Any, folder: Path) -> None:
    tree["evil"] = h5py.ExternalLink(str(folder / "secret.h5"), "/x")


def soft_link(tree: Any, folder: Path) -> None:
    tree["evil"] = h5py.SoftLink("/nowhere")


def external_storage(tree: Any, folder: Path) -> None:
    tree.create_dataset("evil", (4,), "f4", external=[(str(folder / "secret.bin"), 0, 16)])


def virtual(tree: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "x", (4,))
    tree.create_virtual_dataset("evil", layout)


def unstored(tree: Any, folder: Path) -> None:
    tree.create_dataset("evil", (1_500_000_000,), "f4")


def packed(tree: Any, folder: Path) -> None:
    tree.create_dataset("evil", (200_000_000,), "f4", chunks=(1_000_000,), compression="gzip", fillvalue=0)


def references(tree: Any, folder: Path) -> None:
    tree.create_dataset("evil", (1,), h5py.ref_dtype)


@pytest.mark.parametrize(
    "evil",
    [external_link, soft_link, external_storage, virtual, unstored, packed, references],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("where", [".keras", ".h5", ".weights.h5"])
def test_weights_lie_in_the_file_itself_and_are_as_large_as_they_claim(evil: Any, where: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.arange(4, dtype="f4")
    (tmp_path / "secret.bin").write_bytes(b"0123456789abcdef")
    model = small()
    if where == ".weights.h5":
        model.save_weights(tmp_path / "m.weights.h5")
        path = tmp_path / "m.weights.h5"
    else:
        path = tmp_path / f"m{where}"
        model.save(path)
    if where == ".keras":
        with zipfile.ZipFile(path) as made:
            (tmp_path / "inside.h5").write_bytes(made.read("model.weights.h5"))
        with h5py.File(tmp_path / "inside.h5", "r+") as tree:
            evil(tree, tmp_path)
        path = hostile(tmp_path / "evil.keras", lambda config: None, (tmp_path / "inside.h5").read_bytes())
    else:
        with h5py.File(path, "r+") as tree:
            evil(tree, tmp_path)
    opening: list[Callable[[], Any]] = [lambda: read_weights(path), lambda: load_weights(small(), path)]
    if where != ".weights.h5":
        opening.append(lambda: load_saved_model(path))
    for one in opening:
        with pytest.raises(ModelError, match=r"stored in the file itself|stored in another file|claims|and no numbers"):
            one()


@pytest.mark.parametrize("damage", ["twice", "climbs", "bomb", "packed", "truncated", "empty", "no weights"])
def test_an_archive_that_is_damaged_or_made_to_deceive_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    small().save(path)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no weights":
        with zipfile.ZipFile(tmp_path / "x.keras", "w") as made:
            made.writestr("config.json", "{}")
        path = tmp_path / "x.keras"
    else:
        name = {"twice": "config.json", "climbs": "../evil"}.get(damage, "assets/x")
        packing = {"bomb": zipfile.ZIP_DEFLATED, "packed": zipfile.ZIP_LZMA}.get(damage, zipfile.ZIP_STORED)
        with pytest.warns(UserWarning) if damage == "twice" else zipfile.ZipFile(path, "a") as made:
            if damage == "twice":
                with zipfile.ZipFile(path, "a") as twice:
                    twice.writestr(name, "{}")
            else:
                made.writestr(name, b"\0" * (80 << 20 if damage == "bomb" else 4), packing)
    with pytest.raises(ModelError, match=r"m\.keras|x\.keras"):
        load_saved_model(path)
