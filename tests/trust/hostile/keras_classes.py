"""Keras models that name classes which nobody should make for a stranger."""

from __future__ import annotations

from collections.abc import Callable

from trust.commands import KERAS
from trust.keras_config import (
    Config,
    bytecode,
    function,
    lambda_layer,
    older_bytecode,
    thing,
    with_dense,
    with_layer,
)
from trust.place import Place
from trust.registry import kind

_FILE = "bad.keras"


def _hostile(name: str, abuses: str, fuse: str | None = None) -> Callable[[Callable[[Place], None]], object]:
    return kind(name, abuses, at=_FILE, commands=KERAS, refused=KERAS, fuse=fuse)


@kind("honest-keras", "nothing: a control", at=_FILE, commands=KERAS, sound=True)
def _(place: Place) -> None:
    with_dense(place)


@_hostile("keras-vocabulary", "a StringLookup whose words are another file of the user")
def _(place: Place) -> None:
    settings = {"name": "words", "vocabulary": str(place.outside / "canary.txt"), "num_oov_indices": 1}
    with_layer(place, thing("StringLookup", settings))


@_hostile("keras-text-vectorization", "a TextVectorization whose words are another file of the user")
def _(place: Place) -> None:
    with_layer(place, thing("TextVectorization", {"name": "t", "vocabulary": str(place.outside / "canary.txt")}))


@_hostile("keras-torch-wrapper", "a pickled PyTorch module")
def _(place: Place) -> None:
    with_layer(place, thing("TorchModuleWrapper", {"name": "torch", "module": _pickle(place, "torch")}))


@_hostile("keras-jax-layer", "bytecode as a JAX layer's function")
def _(place: Place) -> None:
    code = older_bytecode(place, "jax")
    with_layer(place, thing("JaxLayer", {"name": "jax", "call_fn": code, "init_fn": code, "params": None}))


@_hostile("keras-flax-layer", "a pickled Flax module")
def _(place: Place) -> None:
    settings = {"name": "flax", "module": _pickle(place, "flax"), "method": None}
    with_layer(place, thing("FlaxLayer", settings))


@_hostile("keras-module-beside", "a class of a module in the current folder")
def _(place: Place) -> None:
    _plant(place)
    with_layer(place, thing("Evil", {"name": "evil"}, "evilmod", registered_name="evilmod>Evil"))


@_hostile("keras-module-os", "a class of the standard library")
def _(place: Place) -> None:
    with_layer(place, thing("Popen", {"args": ["touch", place.mark("popen")]}, "subprocess"))


@_hostile("keras-registered-name", "a layer of Keras under another registered name")
def _(place: Place) -> None:
    settings = {"name": "x", "function": bytecode(place, "registered"), "arguments": {}}
    with_layer(place, thing("Activation", settings, registered_name="Lambda"))


@_hostile("keras-initializer", "an initializer from a module in the current folder")
def _(place: Place) -> None:
    _plant(place)
    with_dense(place, kernel_initializer=thing("Evil", {}, "evilmod"))


@_hostile("keras-regularizer", "bytecode as a regularizer")
def _(place: Place) -> None:
    with_dense(place, kernel_regularizer=older_bytecode(place, "regularizer"), activity_regularizer=None)


@_hostile("keras-activation", "bytecode as an activation", fuse="keras_file")
def _(place: Place) -> None:
    with_dense(place, activation=older_bytecode(place, "activation"))


@_hostile("keras-constraint", "a callback as a constraint")
def _(place: Place) -> None:
    with_dense(place, kernel_constraint=thing("CSVLogger", {"filename": place.mark("c")}, "keras.callbacks"))


@_hostile("keras-function-os", "os.system as an activation")
def _(place: Place) -> None:
    with_dense(place, activation=function("system", "os"))


@_hostile("keras-time-distributed", "a Lambda inside a TimeDistributed", fuse="keras_file")
def _(place: Place) -> None:
    inner = lambda_layer(bytecode(place, "distributed"))
    with_layer(place, thing("TimeDistributed", {"name": "outer", "layer": inner}))


@_hostile("keras-bidirectional", "a TFSMLayer as the second layer of a Bidirectional")
def _(place: Place) -> None:
    cell = thing("LSTM", {"name": "lstm", "units": 2, "return_sequences": True})
    other = thing("TFSMLayer", {"filepath": str(place.outside), "name": "graph"})
    with_layer(place, thing("Bidirectional", {"name": "both", "layer": cell, "backward_layer": other}))


@_hostile("keras-rnn-cell", "a cell from a module in the current folder")
def _(place: Place) -> None:
    _plant(place)
    with_layer(place, thing("RNN", {"name": "rnn", "cell": thing("Evil", {}, "evilmod")}))


@_hostile("keras-nested-model", "a Lambda two models deep", fuse="keras_file")
def _(place: Place) -> None:
    deep: Config = lambda_layer(bytecode(place, "nested"))
    for level in ("inner", "outer"):
        deep = thing("Sequential", {"name": level, "layers": [_input(), deep]}, "keras")
    with_layer(place, deep)


@_hostile("keras-dtype-policy", "bytecode in place of a dtype")
def _(place: Place) -> None:
    with_dense(place, dtype=older_bytecode(place, "dtype"))


def _input() -> Config:
    return thing("InputLayer", {"batch_shape": [None, 28, 28, 1], "dtype": "float32", "name": "image"})


def _plant(place: Place) -> None:
    text = f"open({place.mark('evilmod')!r}, 'w').close()\n\n\nclass Evil:\n    from_config = dict\n"
    for folder in (place.work, place.run):
        (folder / "evilmod.py").write_text(text, encoding="utf-8")


def _pickle(place: Place, name: str) -> Config:
    import base64

    from trust.pickles import leaves_mark

    return {"class_name": "__bytes__", "config": {"value": base64.b64encode(leaves_mark(place.mark(name))).decode()}}
