"""What is damaged, and the command that opens it then."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from trust.place import Place

_QUICK = ("--limit", "150", "--epochs", "1", "--set", "teacher.check=false", "--json")
_STUDENT = ("--student", "honest/student.keras")


@dataclass(frozen=True)
class Scenario:
    """Files (globs below the current folder), and a command on them: {file} is the damaged one.

    `setup` is a function of this module that makes them. `fingerprint`: they have no checksum of their own, but the
    command prints one of what it read. `mends`: the answer does not tell what the file holds, so that the damaged one
    must not be there any more.
    """

    name: str
    files: tuple[str, ...]
    command: tuple[str, ...]
    setup: str = ""
    fingerprint: bool = False
    quick: bool = True
    mends: bool = False

    def targets(self, place: Place) -> list[Path]:
        """The files that may be damaged, sorted."""
        found = {path for pattern in self.files for path in place.root.glob(pattern) if path.is_file()}
        whole = sorted(path for path in found if not path.is_symlink() and path.stat().st_size > 3)
        if not whole:
            raise AssertionError(f"scenario {self.name} has no files: {self.files}")
        return whole

    def arguments(self, place: Place, path: Path) -> list[str]:
        """The command on a damaged file."""
        return [part.replace("{file}", str(path)) for part in self.command]

    def fingerprint_of(self, answer: Any) -> list[str]:
        """The digests that an answer tells."""
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return re.findall(r"\b[0-9a-f]{8,64}\b", text)


_WORK = "parent/work"
_RUN = f"{_WORK}/run"
_ALL = (
    # A run that vouches for its files
    Scenario("run-student", (f"{_RUN}/student.keras",), ("predict", "run", "digit.png", "--json")),
    Scenario("run-models", (f"{_RUN}/*.keras",), ("verify", "run", "--json")),
    Scenario("run-exports", (f"{_RUN}/exports/student-*",), ("predict", "{file}", "digit.png", "--json")),
    Scenario("run-outputs", (f"{_RUN}/outputs/*.npz",), ("report", "run", "--json", "--out", "made")),
    Scenario("run-report", (f"{_RUN}/*.json", f"{_RUN}/history.csv", f"{_RUN}/recipe.toml", f"{_RUN}/exports/*.json"),
             ("report", "run", "--json", "--out", "made")),
    Scenario("run-recipe", (f"{_RUN}/recipe.toml",), ("export", "run", "--format", "onnx", "--json")),
    Scenario("run-again", (f"{_RUN}/metrics.json", f"{_RUN}/*.keras"),
             ("distill", "honest-run/recipe.toml", "--out", "run", "--json")),
    # Models that nobody vouches for, but whose containers have checksums
    Scenario("keras-alone", (f"{_WORK}/honest/student.keras",), ("predict", "{file}", "digit.png", "--json")),
    # Data
    Scenario("idx", (f"{_WORK}/idx/*ubyte",), ("data", "check", "mnist", "--data-dir", "idx"), "data", True),
    Scenario("idx-gz", (f"{_WORK}/gz/*.gz",), ("data", "check", "mnist", "--data-dir", "gz"), "data"),
    Scenario("npz", (f"{_WORK}/stored.npz",), ("data", "check", "arrays", "--data-dir", "stored.npz"), "data"),
    Scenario("npz-deflated", (f"{_WORK}/deflated.npz",), ("data", "check", "arrays", "--data-dir", "deflated.npz"),
             "data"),
    Scenario("mnist-npz", (f"{_WORK}/keras/mnist.npz",), ("data", "check", "mnist", "--data-dir", "keras"), "data"),
    Scenario("npy", (f"{_WORK}/npy/*.npy",), ("data", "check", "arrays", "--data-dir", "npy"), "data", True),
    Scenario("csv", (f"{_WORK}/images/list.csv",), ("data", "check", "csv", "--data-dir", "images"), "data", True),
    Scenario("png", (f"{_WORK}/images/*/*.png",), ("data", "check", "folder", "--data-dir", "images"), "data", True),
    Scenario("recipe", (f"{_WORK}/own.toml",), ("distill", "own.toml", "--dry-run", "--json"), "data", True),
    # Teachers that a run was begun with
    *(Scenario(f"teacher-{kind}", files,
               ("distill", "mnist-demo", "--teacher", first, *_STUDENT, *_QUICK, "--out", "made"),
               f"teacher_{kind.replace('-', '_')}", quick=False)
      for kind, first, files in (
          ("onnx", "big.onnx", (f"{_WORK}/big.onnx", f"{_WORK}/big.bin")),
          ("tflite", "big.tflite", (f"{_WORK}/big.tflite",)),
          ("saved-model", "big_model", (f"{_WORK}/big_model/**/*",)),
          ("keras", "big.keras", (f"{_WORK}/big.keras",)),
          ("h5", "big.h5", (f"{_WORK}/big.h5",)),
          ("logits", "big.npz", (f"{_WORK}/big.npz",)),
      )),
    # What the cache keeps
    Scenario("cache", ("cache/*/*/*", "cache/*/*/*/*"),
             ("distill", "cached.toml", "--epochs", "1", "--json", "--out", "made"), "cache", quick=False),
    Scenario("cache-exports", ("cache/exports/*/*",), ("bench", "run", "--threads", "1", "--duration", "0.03"),
             "cache_exports", quick=False, mends=True),
    # A sweep
    Scenario("sweep", (f"{_WORK}/swept/*", f"{_WORK}/swept/*/*/*"), ("report", "swept", "--json", "--out", "made"),
             "sweep", quick=False),
    Scenario("sweep-again", (f"{_WORK}/swept/*", f"{_WORK}/swept/*/*/*"),
             ("sweep", "mnist-demo", "--teacher", "honest/teacher.keras", *_STUDENT, *_QUICK, "--seeds", "1",
              "--out", "swept"), "sweep", quick=False),
)  # fmt: skip
SCENARIOS: dict[str, Scenario] = {one.name: one for one in _ALL}


def data(root: str) -> None:
    """The same images in every form."""
    import gzip

    from PIL import Image

    place = Place(Path(root))
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (80, 28, 28), np.uint8), (np.arange(80) % 10).astype(np.int64)
    for name in ("idx", "gz", "npy", "keras"):
        (place.work / name).mkdir()
    for part in ("train", "t10k"):
        for name, array in ((f"{part}-images-idx3-ubyte", x), (f"{part}-labels-idx1-ubyte", y)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = head + array.astype(np.uint8).tobytes()
            (place.work / "idx" / name).write_bytes(content)
            (place.work / "gz" / f"{name}.gz").write_bytes(gzip.compress(content))
    np.savez(place.work / "stored.npz", x=x, y=y)
    np.savez_compressed(place.work / "deflated.npz", x=x, y=y)
    np.savez(place.work / "keras" / "mnist.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    for name, array in (("x", x), ("y", y)):
        np.save(place.work / "npy" / name, array)
    rows = []
    for at, (image, label) in enumerate(zip(x, y, strict=True)):
        path = place.work / "images" / str(label) / f"{at:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        rows.append(f"{label}/{at:03d}.png,{label},{'test' if at % 4 == 0 else 'train'}")
    (place.work / "images" / "list.csv").write_text("\n".join(["path,label,partition", *rows]) + "\n", encoding="utf-8")
    shutil.copy(place.run / "recipe.toml", place.work / "own.toml")


def _distilled(place: Place, teacher: str) -> None:
    """A finished run with that teacher, in `made`, as the scenario's command makes it."""
    import kdcompress

    kdcompress.distill(
        "mnist-demo", teacher=teacher, student="honest/student.keras", out=place.work / "made", limit=150, epochs=1,
        settings={"teacher.check": False},
    )  # fmt: skip


def teacher_onnx(root: str) -> None:
    """An ONNX file with its weights beside it."""
    import onnx

    place = Place(Path(root))
    model = onnx.load(str(place.run / "exports" / "student-fp32.onnx"))
    onnx.save(model, str(place.work / "big.onnx"), save_as_external_data=True, location="big.bin", size_threshold=200)
    _distilled(place, "big.onnx")


def teacher_tflite(root: str) -> None:
    """A TFLite file."""
    place = Place(Path(root))
    shutil.copy(place.run / "exports" / "student-fp32.tflite", place.work / "big.tflite")
    _distilled(place, "big.tflite")


def teacher_saved_model(root: str) -> None:
    """A SavedModel."""
    from trust.graphs import save

    place = Place(Path(root))
    save(place.work / "big_model", lambda image: None)
    _distilled(place, "big_model")


def teacher_keras(root: str) -> None:
    """A `.keras` file."""
    place = Place(Path(root))
    shutil.copy(place.work / "honest" / "teacher.keras", place.work / "big.keras")
    _distilled(place, "big.keras")


def teacher_h5(root: str) -> None:
    """An `.h5` file."""
    import keras

    place = Place(Path(root))
    keras.saving.load_model(place.work / "honest" / "teacher.keras", compile=False).save(place.work / "big.h5")
    _distilled(place, "big.h5")


def teacher_logits(root: str) -> None:
    """Logits that were computed elsewhere."""
    from kdcompress.data import make_source
    from kdcompress.progress import Progress

    place = Place(Path(root))
    data_set = make_source({"name": "mnist", "source": "embedded"}).load(Progress())
    ids = np.concatenate([part.ids for part in data_set.parts.values()])
    logits = np.random.default_rng(0).normal(size=(len(ids), 10)).astype(np.float32)
    np.savez(place.work / "big.npz", ids=ids, logits=logits)
    _distilled(place, "big.npz")


def cache(root: str) -> None:
    """Everything that a run of a folder of images and a zoo teacher keeps."""
    import kdcompress

    data(root)
    place = Place(Path(root))
    (place.work / "cached.toml").write_text(
        'name = "cached"\nbaseline = false\n[data]\nname = "folder"\ndir = "images"\n[teacher]\nmodel = "mnist_mlp"\n'
        'check = false\n[student]\nmodel = "honest/student.keras"\n[training]\nbatch_size = 16\n[split]\n'
        "validation_fraction = 0.2\n[teacher.training]\nbatch_size = 16\n",
        encoding="utf-8",
    )
    kdcompress.distill("cached.toml", out=place.work / "first", epochs=1)
    shutil.rmtree(place.work / "first")


def cache_exports(root: str) -> None:
    """An exported teacher in the cache."""
    import kdcompress

    place = Place(Path(root))
    kdcompress.bench(place.run, threads=[1], duration=0.03)


def sweep(root: str) -> None:
    """A finished sweep."""
    from trust.hostile.sweeps import sweep_of

    sweep_of(Place(Path(root)))
