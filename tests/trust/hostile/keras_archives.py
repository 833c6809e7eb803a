"""`.keras` and `.h5` files whose containers are the attack: members, sizes, names."""

from __future__ import annotations

import os
import shutil
import zipfile

from trust.commands import H5, KERAS
from trust.keras_config import rewrite, with_dense
from trust.place import Place
from trust.registry import kind

_FILE = "bad.keras"
_GB = 1 << 30


@kind("keras-zip-climbs", "zip members with .. in their names", at=_FILE, commands=KERAS)
def _(place: Place) -> None:
    with_dense(place)
    with zipfile.ZipFile(place.work / _FILE, "a") as packed:
        for name in ("../canary.txt", "../../outside/canary.txt", "assets/../../../canary.txt", place.mark("zip")):
            packed.writestr(name, "overwritten")


@kind("keras-zip-bomb-config", "a configuration of 2 GB, packed into 10 MB", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    _bomb(place, "config.json")


@kind("keras-zip-bomb-weights", "weights of 2 GB, packed into 10 MB", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    _bomb(place, "model.weights.h5")


def _bomb(place: Place, member: str) -> None:
    honest = place.work / "honest" / "student.keras"
    with (
        zipfile.ZipFile(honest) as old,
        zipfile.ZipFile(place.work / _FILE, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            if name != member:
                new.writestr(name, old.read(name))
        with new.open(member, "w", force_zip64=True) as out:
            for _ in range(70):
                out.write(bytes(32 << 20))


@kind("keras-declared-member", "a member that declares 4 GB and holds none", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    with_dense(place)
    content = bytearray((place.work / _FILE).read_bytes())
    at = content.rindex(b"model.weights.h5") - 46  # of the central directory's entry
    content[at + 20 : at + 28] = (0xFFFFFF00).to_bytes(4, "little") * 2
    (place.work / _FILE).write_bytes(content)


@kind("keras-deep-config", "a configuration nested 100,000 times", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    honest = place.work / "honest" / "student.keras"
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(place.work / _FILE, "w") as new:
        for name in old.namelist():
            new.writestr(name, "[" * 100_000 + "]" * 100_000 if name == "config.json" else old.read(name))


@kind("keras-huge-layer", "a dense layer of 2 thousand million units", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    with_dense(place, units=2_000_000_000)


@kind("keras-wrong-types", "a configuration of wrong types", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    def edit(config: dict[str, object]) -> None:
        config["config"] = ["Sequential", None, {"layers": 3}]

    rewrite(place.work / "honest" / "student.keras", place.work / _FILE, edit)


@kind("keras-ansi-name", "escape sequences in the names of layers", at=_FILE, commands=("verify", "predict", "export"))
def _(place: Place) -> None:
    with_dense(place, name="dense\x1b[2J\x1b]0;owned\x07\u202egnp")


@kind(
    "keras-nan",
    "weights that are no numbers",
    at=_FILE,
    commands=("predict", "teacher", "export"),
    refused=("predict",),
)
def _(place: Place) -> None:
    import keras

    model = keras.saving.load_model(place.work / "honest" / "student.keras", compile=False)
    model.set_weights([weight * float("nan") for weight in model.get_weights()])
    model.save(place.work / _FILE)


@kind("keras-is-hdf5", "an HDF5 file named .keras", at=_FILE, commands=KERAS, refused=("teacher", "student"))
def _(place: Place) -> None:
    import keras

    keras.saving.load_model(place.work / "honest" / "student.keras", compile=False).save(place.work / "x.h5")
    shutil.move(place.work / "x.h5", place.work / _FILE)


@kind("keras-fifo", "a FIFO in place of a model", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    os.mkfifo(place.work / _FILE)


@kind("keras-device", "a link to an endless device", at=_FILE, commands=KERAS, refused=KERAS)
def _(place: Place) -> None:
    (place.work / _FILE).symlink_to("/dev/zero")


@kind("honest-h5", "nothing: a control", at="bad.h5", commands=tuple(one for one in H5 if one != "verify"), sound=True)
def _(place: Place) -> None:
    import keras

    keras.saving.load_model(place.work / "honest" / "student.keras", compile=False).save(place.work / "bad.h5")
