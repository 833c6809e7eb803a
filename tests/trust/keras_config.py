"""`.keras` files with another configuration than Keras would write."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.place import Place

Config = dict[str, Any]
BEHIND_SCALING = 2  # where a layer can be put that hands on what it gets


def rewrite(source: Path, target: Path, edit: Callable[[Config], None]) -> None:
    """Copy a `.keras` file with its configuration edited."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                edit(config)
                content = json.dumps(config).encode()
            new.writestr(name, content)


def with_layer(place: Place, layer: Config) -> None:
    """The honest student with one layer more."""
    honest = place.work / "honest" / "student.keras"
    rewrite(honest, place.work / "bad.keras", lambda config: config["config"]["layers"].insert(BEHIND_SCALING, layer))


def with_dead_end(place: Place, target: Config, given: str, arguments: Config | None = None) -> None:
    """A classifier with a Lambda beside it that no image goes through: Keras calls it on `given` as it loads."""
    import keras

    image = keras.Input((28, 28, 1))
    scaled = keras.layers.Rescaling(1 / 255)(image)
    honest = place.work / "functional.keras"
    keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(scaled))).save(honest)
    layer = lambda_layer(target, arguments=arguments or {})
    layer |= {"name": "lambda", "inbound_nodes": [{"args": [], "kwargs": {"inputs": given}}]}
    rewrite(honest, place.work / "bad.keras", lambda config: config["config"]["layers"].append(layer))
    honest.unlink()


def with_dense(place: Place, **settings: Any) -> None:
    """The honest student with other settings of its first dense layer."""

    def edit(config: Config) -> None:
        dense = next(one for one in config["config"]["layers"] if one["class_name"] == "Dense")
        dense["config"].update(settings)

    rewrite(place.work / "honest" / "student.keras", place.work / "bad.keras", edit)


def thing(class_name: str, config: Any, module: str | None = "keras.layers", **more: Any) -> Config:
    """How Keras writes an object down."""
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None, **more}


def function(name: str, module: str = "builtins") -> Config:
    """How Keras writes a function down."""
    return thing("function", name, module, registered_name=name)


def bytecode(place: Place, name: str) -> Config:
    """A Python lambda that leaves a mark, as Keras writes it down."""
    from keras.src.utils.python_utils import func_dump

    leave_mark = eval(f"lambda x, *_, **__: (open({place.mark(name)!r}, 'w').close(), x)[1]")
    code, defaults, closure = func_dump(leave_mark)
    return {"class_name": "__lambda__", "config": {"code": code, "defaults": defaults, "closure": closure}}


def older_bytecode(place: Place, name: str) -> Config:
    """The same, as Keras wrote it outside of Lambda layers."""
    inner = bytecode(place, name)["config"]
    return {"class_name": "__lambda__", "config": {"value": [inner["code"], None, None]}}


def lambda_layer(target: Any, **more: Any) -> Config:
    """A Lambda layer whose function is written down as `target`."""
    settings = {"name": "lambda", "trainable": True, "dtype": "float32", "function": target, "arguments": {}}
    return thing("Lambda", {**settings, **more})
