"""Data sets whose files lead elsewhere, hold code, or lie about their sizes."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from trust.arrays import declare, zeros
from trust.commands import DATA
from trust.place import Place
from trust.registry import kind

_AT = "set"


def folder_of(place: Place, name: str, **more: object) -> Path:
    """A data folder, and the recipe in it that names the data set."""
    folder = place.work / _AT
    folder.mkdir(exist_ok=True)
    settings = "".join(f"{key} = {value!r}\n" for key, value in more.items())
    (folder / "data.toml").write_text(
        f'name = "own"\n[data]\nname = "{name}"\n{settings}'
        '[teacher]\nmodel = "mnist_cnn"\n[student]\nmodel = "mnist_mlp"\n',
        encoding="utf-8",
    )
    return folder


def arrays_of(place: Place, deflated: bool = False, **other: np.ndarray) -> Path:
    """An honest npz file of ten classes, with `other` arrays in place of some."""
    folder = folder_of(place, "arrays", dir="data.npz")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 28, 28), np.uint8), np.arange(60) % 10
    save = np.savez_compressed if deflated else np.savez
    save(folder / "data.npz", **{"x": x, "y": y.astype(np.int64), **other})
    return folder / "data.npz"


def images_of(
    place: Place, names: tuple[str | bytes, ...] = (), classes: tuple[str, ...] = tuple("0123456789")
) -> Path:
    """A folder of class folders with six honest images each; further copies by `names` in the first."""
    from PIL import Image

    folder = folder_of(place, "folder", dir="images") / "images"
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(6):
            pixels = np.random.default_rng(10 * number + index).integers(0, 256, (28, 28), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    for at, given in enumerate(names):
        pixels = np.random.default_rng(1000 + at).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(pixels).save(folder / "x.png")
        (folder / "x.png").rename(folder / classes[0] / os.fsdecode(given))
    return folder


def _csv(name: str, abuses: str, refused: bool = True) -> Callable[[Callable[[Place, list[str]], None]], None]:
    def register(spoil: Callable[[Place, list[str]], None]) -> None:
        @kind(name, abuses, at=_AT, commands=DATA, refused=DATA if refused else ())
        def make(place: Place) -> None:
            images = images_of(place)
            folder_of(place, "csv", dir="images", file="images/list.csv")
            rows = [f"{path.relative_to(images)},{path.parent.name}" for path in sorted(images.glob("*/*.png"))]
            lines = ["path,label", *rows]
            spoil(place, lines)
            (images / "list.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")

    return register


@_csv("csv-climbs", "a row that names an image outside")
def _(place: Place, lines: list[str]) -> None:
    lines.append("../../digit.png,3")


@_csv("csv-absolute", "a row that names an image absolutely")
def _(place: Place, lines: list[str]) -> None:
    lines.append(f"{place.work / 'digit.png'},3")


@_csv("csv-through-link", "a row that names an image through a link that leads out")
def _(place: Place, lines: list[str]) -> None:
    (place.work / _AT / "images" / "away").symlink_to(place.work)
    lines.append("away/digit.png,3")


@_csv("csv-ansi", "escape sequences among labels", refused=False)
def _(place: Place, lines: list[str]) -> None:
    lines[1:] = [f"{line}\x1b[2J\u202e" for line in lines[1:]]


@_csv("csv-bytes", "bytes that are no UTF-8")
def _(place: Place, lines: list[str]) -> None:
    lines[4] = lines[4] + "\udcff\udcfe"


@_csv("csv-field", "a field of 20 MB")
def _(place: Place, lines: list[str]) -> None:
    lines.append("a" * 20_000_000 + ",3")


@_csv("honest-csv", "nothing: a control", refused=False)
def _(place: Place, lines: list[str]) -> None:
    assert len(lines) == 61


@kind("npz-pickle", "pickled labels", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    from trust.pickles import mark

    arrays_of(place, y=np.array([mark(place.mark("npz"))] * 60, object))


@kind(
    "npz-pickle-alone",
    "an npz file of pickles",
    at="bad.npz",
    commands=("teacher",),
    refused=("teacher",),
    fuse="pickled",
)
def _(place: Place) -> None:
    from trust.pickles import mark

    ids = np.array([mark(place.mark("logits"))] * 3, object)
    np.savez(place.work / "bad.npz", logits=np.zeros((3, 10), np.float32), ids=ids)


@kind("npz-shape", "an array that declares 10^13 bytes", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    declare(arrays_of(place), "x.npy", (10**9, 100, 100), "|u1")


@kind("npz-shape-deflated", "a deflated array that declares 10^13 bytes", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    path = arrays_of(place, deflated=True)
    declare(path, "x.npy", (10**9, 100, 100), "|u1")


@kind("npz-bomb", "an array of 3 GB, packed into 3 MB", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    folder = folder_of(place, "arrays", dir="data.npz")
    np.savez_compressed(folder / "data.npz", y=np.arange(60) % 10)
    zeros(folder / "data.npz", "x.npy", (4_000_000, 28, 28))


@kind("npz-label", "a label of 39 thousand million", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    labels = (np.arange(60) % 10).astype(np.int64)
    labels[3] |= 9 << 32
    arrays_of(place, y=labels)


@kind("npz-header", "a header that is an expression", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    path = arrays_of(place)
    import zipfile

    text = f"__import__('pathlib').Path({place.mark('header')!r}).touch()\n".encode()
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("x.npy", "y.npy"):
            packed.writestr(name, b"\x93NUMPY\x03\x00" + len(text).to_bytes(4, "little") + text)


@kind("honest-npz", "nothing: a control", at=_AT, commands=("check",), sound=True)
def _(place: Place) -> None:
    arrays_of(place)


def _idx(place: Place, images: bytes) -> None:
    folder = folder_of(place, "mnist", dir=".")
    labels = bytes([0, 0, 8, 1]) + (60).to_bytes(4, "big") + bytes(at % 10 for at in range(60))
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


@kind("idx-bomb", "a gzipped IDX file of 4 GB", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    head = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in (60, 28, 28))
    block = gzip.compress(bytes(1 << 28), 1)  # gzip members follow each other
    _idx(place, gzip.compress(head) + block * 16)


@kind("idx-shape", "an IDX file that declares 10^28 bytes", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    _idx(place, gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(100)))


@kind("idx-fifo", "a FIFO in place of an IDX file", at=_AT, commands=DATA, refused=DATA)
def _(place: Place) -> None:
    _idx(place, b"")
    (place.work / _AT / "train-images-idx3-ubyte.gz").unlink()
    os.mkfifo(place.work / _AT / "train-images-idx3-ubyte.gz")
