"""Keras models whose Lambda layers, or what stands in for one, would run code."""

from __future__ import annotations

from trust.commands import H5, KERAS
from trust.graphs import write_at_load
from trust.keras_config import (
    bytecode,
    function,
    lambda_layer,
    older_bytecode,
    rewrite,
    thing,
    with_dead_end,
    with_layer,
)
from trust.place import Place
from trust.registry import kind

_REFUSED = ("predict", "verify", "export", "teacher", "student", "sweep-teacher")
_FILE = "bad.keras"


@kind("keras-lambda", "bytecode in a Lambda layer", at=_FILE, commands=KERAS, refused=_REFUSED, fuse="keras_file")
def _(place: Place) -> None:
    with_layer(place, lambda_layer(bytecode(place, "lambda")))


@kind("h5-lambda", "bytecode in a Lambda layer, in HDF5", at="bad.h5", commands=H5, refused=H5, fuse="keras_file")
def _(place: Place) -> None:
    import keras

    leave_mark = eval(f"lambda x: (open({place.mark('h5-lambda')!r}, 'a').close(), x)[1]")
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Lambda(leave_mark), layers.Flatten(),
        layers.Dense(10),
    ])  # fmt: skip
    model.save(place.work / "bad.h5")
    for mark in place.markers.iterdir():
        mark.unlink()


@kind("keras-lambda-shape", "bytecode that tells a Lambda's shape", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_layer(place, lambda_layer(function("relu"), output_shape=bytecode(place, "shape")))


@kind(
    "keras-lambda-tfsm", "a Lambda, off the path of the images, that makes a TFSMLayer: a graph that writes at load",
    at=_FILE, commands=KERAS, refused=_REFUSED, fuse="keras_file",
)  # fmt: skip
def _(place: Place) -> None:
    write_at_load(place.outside / "graph", place.mark("tfsm"))
    arguments = {"call_endpoint": "serving_default"}
    with_dead_end(place, function("TFSMLayer", "keras.layers"), str(place.outside / "graph"), arguments)


@kind(
    "keras-tfsm-layer", "a TFSMLayer: a graph that writes a file at load",
    at=_FILE, commands=KERAS, refused=_REFUSED, fuse="keras_file",
)  # fmt: skip
def _(place: Place) -> None:
    write_at_load(place.outside / "graph", place.mark("tfsm"))
    inner = {"filepath": str(place.outside / "graph"), "call_endpoint": "serving_default", "name": "inner"}
    with_layer(place, thing("TFSMLayer", inner))


@kind("keras-lambda-callback", "a Lambda that makes a CSVLogger", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_dead_end(place, function("CSVLogger", "keras.callbacks"), place.mark("csvlogger"))


@kind("keras-lambda-backup", "a Lambda that makes a BackupAndRestore", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_dead_end(place, function("BackupAndRestore", "keras.callbacks"), place.mark("backup"))


@kind("keras-lambda-editor", "a Lambda that opens another file of the user", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    target = str(place.work / "honest" / "teacher.keras")
    with_dead_end(place, function("KerasFileEditor", "keras.saving"), target)


@kind("keras-lambda-object", "a Lambda whose function is an object", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    logger = {"filename": place.mark("csvlogger"), "separator": ",", "append": False}
    with_layer(place, lambda_layer(thing("CSVLogger", logger, "keras.callbacks")))


@kind("keras-lambda-builtin", "a Lambda that calls a built-in function", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_layer(place, lambda_layer(function("exec"), arguments={}))


@kind("keras-lambda-os", "a Lambda that calls os.abort", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_layer(place, lambda_layer(function("abort", "os")))


@kind("keras-lambda-get-file", "a Lambda that calls keras.utils.get_file", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    arguments = {"origin": (place.outside / "canary.txt").as_uri(), "cache_dir": str(place.markers)}
    with_layer(place, lambda_layer(function("get_file", "keras.utils"), arguments=arguments))


@kind("keras-typespec", "__typespec__ that names a class to import", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    spec = {"class_name": "__typespec__", "spec_name": "Popen", "registered_name": "Popen", "module": "subprocess"}
    with_layer(place, lambda_layer({**spec, "config": [f"touch {place.mark('typespec')}"]}))


@kind("keras-compile-config", "bytecode in a nested model's loss", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    inner = thing("Sequential", {"name": "inner", "layers": []}, "keras")
    loss = older_bytecode(place, "loss")
    compiled = {"optimizer": "sgd", "loss": loss, "metrics": [loss], "weighted_metrics": None, "run_eagerly": True}
    with_layer(place, {**inner, "compile_config": compiled})


@kind("keras-top-compile", "bytecode in the model's own loss", at=_FILE, commands=KERAS)
def _(place: Place) -> None:
    loss = older_bytecode(place, "top-loss")
    compiled = {"optimizer": "sgd", "loss": loss, "metrics": [loss], "weighted_metrics": None}
    honest = place.work / "honest" / "student.keras"
    rewrite(honest, place.work / _FILE, lambda config: config.update(compile_config=compiled))


@kind("keras-switch-off", "a Lambda that switches Keras's own guard off", at=_FILE, commands=KERAS, refused=_REFUSED)
def _(place: Place) -> None:
    with_layer(place, lambda_layer(function("enable_unsafe_deserialization", "keras.config")))
