"""Keras files from anywhere, checked before Keras opens them: what they name and link to, how big they claim to be."""

from __future__ import annotations

import contextlib
import functools
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.keras.config_check import check_config, parse_config
from kdcompress.formats.keras.hdf5 import check_hdf5
from kdcompress.paths import check_regular_file, is_safe_path

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_VERSION = 20  # characters of one
_MOST_CONFIG = 64 << 20
# Beside its own bytes: what a file may unpack to, and what a model may allocate for weights that the file lacks
_MOST_TIMES, _SLACK = 100, 64 << 20
_NO_MODEL = "cannot be loaded as a Keras model, it is truncated, damaged or none"
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError, EOFError, zipfile.BadZipFile,
            zlib.error, NotImplementedError)  # fmt: skip


def check_model_file(path: Path) -> int:
    """The bytes of the weights in a `.keras` or `.h5` model that may be opened.

    Errors: ModelError for a file that is damaged, that names what a model may not name (unless the user trusts its
    code), links to other files, or claims more bytes than it stores.
    """
    stored = check_weights_file(path)
    with _told(path):
        check_config(parse_config(_config(path), str(path)), str(path))
    return stored


def check_weights_file(path: Path, wrong: str = _NO_MODEL) -> int:
    """As `check_model_file`, of which the weights alone are to be loaded: what it names does not matter.

    `wrong` is what is said of a damaged one.
    """
    check_regular_file(path, ModelError)
    facts = path.stat()
    return _check_weights(path, wrong, (facts.st_size, facts.st_mtime_ns, facts.st_ino))


@functools.lru_cache(maxsize=256)  # a run's models are opened several times by one command
def _check_weights(path: Path, wrong: str, stamp: tuple[int, ...]) -> int:
    import h5py

    with _told(path, wrong):
        if path.suffix.lower() != ".keras" and not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as tree:
                return check_hdf5(tree, str(path))
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist(), path)
            with h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as tree:
                return check_hdf5(tree, str(path))


def _config(path: Path) -> str | bytes:
    """The configuration of a model whose weights were looked at; ModelError if there is none."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(CONFIG).file_size > _MOST_CONFIG:
                raise ModelError(f"{path}: its configuration is larger than {_MOST_CONFIG:,} bytes; no model's is")
            return archive.read(CONFIG)
    with h5py.File(path, "r") as tree:
        found: str | bytes = tree.attrs["model_config"]
        return found


def keras_of(path: Path) -> str:
    """The version of Keras that saved a model which was checked; empty where the file does not say."""
    import h5py

    with contextlib.suppress(ModelError, *_DAMAGED):
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as tree:
                return str(tree.attrs.get("keras_version", ""))[:_VERSION]
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(METADATA).file_size < _MOST_CONFIG:
                return str(parse_config(archive.read(METADATA), str(path)).get("keras_version", ""))[:_VERSION]
    return ""


@contextmanager
def _told(path: Path, wrong: str = _NO_MODEL) -> Iterator[None]:
    """Whatever else is wrong with a file is told in one line."""
    try:
        yield
    except _DAMAGED as exc:
        raise ModelError(f"{path} {wrong}: {one_line(exc, 120)}") from exc


def _check_members(infos: list[zipfile.ZipInfo], path: Path) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise ModelError(f"{path} holds two members of one name; it is damaged, or made to deceive")
    for info in infos:
        if not is_safe_path(path.parent, info.filename.rstrip("/")):
            raise ModelError(f"{path}: member {info.filename[:80]!r} leads out of its folder")
        if info.compress_type not in _PACKED:
            raise ModelError(f"{path}: member {info.filename[:80]!r} is packed neither stored nor deflated")
    declared, most = sum(info.file_size for info in infos), max(_SLACK, _MOST_TIMES * path.stat().st_size)
    if declared > most:
        raise ModelError(f"{path} would unpack to {declared:,} bytes, above {most:,}: a zip bomb, and no model")


@contextmanager
def weights_within(stored: int, what: str) -> Iterator[None]:
    """Within it, layers that are made may not allocate far more weights than a file stores; ModelError if they would.

    `stored` is in bytes. A file of a few bytes may name a layer of a billion units.
    """
    import keras

    most, total = 2 * stored + _SLACK, 0
    make = keras.layers.Layer.add_weight

    @functools.wraps(make)
    def add_weight(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal total
        shape = kwargs.get("shape", args[0] if args else ()) or ()
        sizes = [shape] if isinstance(shape, int) else shape
        count = 1
        for size in sizes:
            count *= max(int(size or 1), 1)
        total += 4 * count
        if total > most:
            raise ModelError(
                f"{what} makes a model of more than {total:,} bytes of weights (layer {str(self.name)[:40]!r} of shape "
                f"{tuple(sizes)}), and stores {stored:,}"
            )
        return make(self, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = make
