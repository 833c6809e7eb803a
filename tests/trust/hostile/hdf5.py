"""Weights in HDF5 that lie elsewhere, or say that they are larger than they are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.commands import H5, KERAS
from trust.place import Place, once
from trust.registry import kind

Trick = Callable[[Any, str, Path], None]


def _external_link(tree: Any, name: str, other: Path) -> None:
    import h5py

    del tree[name]
    tree[name] = h5py.ExternalLink(str(other.with_suffix(".h5")), "secret")


def _soft_link(tree: Any, name: str, other: Path) -> None:
    import h5py

    tree.move(name, "elsewhere")
    tree[name] = h5py.SoftLink("/elsewhere")


def _external_storage(tree: Any, name: str, other: Path) -> None:
    shape, dtype = tree[name].shape, tree[name].dtype
    del tree[name]
    tree.create_dataset(name, shape, dtype, external=[(str(other.with_suffix(".raw")), 0, 1 << 30)])


def _virtual(tree: Any, name: str, other: Path) -> None:
    import h5py

    shape, dtype = tree[name].shape, tree[name].dtype
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(str(other.with_suffix(".h5")), "secret", shape)
    del tree[name]
    tree.create_virtual_dataset(name, layout)


def _huge(tree: Any, name: str, other: Path) -> None:
    del tree[name]
    tree.create_dataset(name, (1_300_000_000,), "f4", chunks=(1 << 20,), fillvalue=1.0)


TRICKS: dict[str, tuple[str, Trick]] = {
    "external-link": ("an external link to another file", _external_link),
    "external-storage": ("values that lie in another file", _external_storage),
    "virtual": ("a virtual dataset over another file", _virtual),
    "huge": ("a dataset that declares 5 GB", _huge),
    "soft-link": ("a soft link", _soft_link),
}


def _damage(path: Path | io.BytesIO, trick: Trick, other: Path) -> None:
    """Play a trick on the largest array of a file; `other` gets the same values, as .h5 and as raw bytes."""
    import h5py

    with h5py.File(path, "r+") as tree:
        names: list[str] = []
        tree.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = max(names, key=lambda one: tree[one].size)
        values = tree[name][()]
        with h5py.File(other.with_suffix(".h5"), "w") as secret:
            secret["secret"] = values
        other.with_suffix(".raw").write_bytes(values.tobytes())
        trick(tree, name, other)


def _in_keras(place: Place, trick: Trick) -> None:
    honest = place.work / "honest" / "student.keras"
    with zipfile.ZipFile(honest) as old, zipfile.ZipFile(place.work / "bad.keras", "w") as new:
        for name in old.namelist():
            content = io.BytesIO(old.read(name))
            if name == "model.weights.h5":
                _damage(content, trick, place.outside / "secret")
            new.writestr(name, content.getvalue())


def _in_h5(place: Place, trick: Trick) -> None:
    import keras

    keras.saving.load_model(place.work / "honest" / "student.keras", compile=False).save(place.work / "bad.h5")
    _damage(place.work / "bad.h5", trick, place.outside / "secret")


def zoo_weights(place: Place) -> Path:
    """A recipe that starts a zoo network from weights, and the file of them."""
    once(place, "zoo", place.work / "zoo", lambda: _make_zoo_weights(place.work / "zoo"))
    (place.work / "zoo" / "bad.weights.h5").rename(place.work / "bad.weights.h5")
    return place.work / "bad.weights.h5"


def _make_zoo_weights(folder: Path) -> None:
    import keras
    import numpy as np
    from PIL import Image

    from kdcompress.models import mobilenetv2

    for number in range(12):
        images = folder / "rgb" / ("cat" if number % 2 else "dog")
        images.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (96, 96, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{number}.png")
    (folder / "rgb.toml").write_text(
        'name = "rgb"\n[data]\nname = "folder"\ndir = "rgb"\n[teacher]\nmodel = "mobilenetv2"\nwidth = 0.35\n'
        '[student]\nmodel = "mobilenetv2"\nwidth = 0.35\n',
        encoding="utf-8",
    )
    keras.utils.set_random_seed(0)
    mobilenetv2.MODEL.build((96, 96, 3), 2, width=0.35).save_weights(folder / "bad.weights.h5")


def _register(name: str, abuses: str, trick: Trick) -> None:
    refused = name != "soft-link"  # which stays in the file

    @kind(f"keras-{name}", f"{abuses}, in .keras", at="bad.keras", commands=KERAS, refused=KERAS if refused else ())
    def in_keras(place: Place) -> None:
        _in_keras(place, trick)

    @kind(f"h5-{name}", f"{abuses}, in .h5", at="bad.h5", commands=H5, refused=H5 if refused else ())
    def in_h5(place: Place) -> None:
        _in_h5(place, trick)

    only = ("pretrained",)

    @kind(f"weights-{name}", f"{abuses}, in weights to start from", at="bad.weights.h5", commands=only,
          refused=only if refused else ())  # fmt: skip
    def in_weights(place: Place) -> None:
        _damage(zoo_weights(place), trick, place.outside / "secret")


for _name, (_abuses, _trick) in TRICKS.items():
    _register(_name, _abuses, _trick)


@kind("honest-weights", "nothing: a control", at="bad.weights.h5", commands=("pretrained",), sound=True)
def _(place: Place) -> None:
    zoo_weights(place)


@kind("h5-user-block", "a pickle in front of an HDF5 file", at="bad.h5", commands=H5)
def _(place: Place) -> None:
    import keras
    from trust.pickles import leaves_mark

    keras.saving.load_model(place.work / "honest" / "student.keras", compile=False).save(place.work / "x.h5")
    block = leaves_mark(place.mark("block")).ljust(512, b"\0")
    (place.work / "bad.h5").write_bytes(block + (place.work / "x.h5").read_bytes())
    (place.work / "x.h5").unlink()
