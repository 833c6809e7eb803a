"""Keras files from anywhere, checked before Keras opens them: what they name and link to, how big they claim to be."""

from __future__ import annotations

import functools
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress.errors import KDCompressError, ModelError, one_line
from kdcompress.models._hdf5 import check_hdf5
from kdcompress.models._keras_config import check_config, parse_config
from kdcompress.paths import is_below, require_regular
from kdcompress.trust import trusts_code

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_MOST_CONFIG = 64 << 20
# Beside its own bytes: what a file may unpack to, and what a model may allocate for weights that the file lacks
_MOST_TIMES, _SLACK = 100, 64 << 20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError, EOFError, zipfile.BadZipFile,
            zlib.error, NotImplementedError)  # fmt: skip


def check_model_file(path: Path) -> int:
    """The bytes of the weights in a `.keras` or `.h5` model that may be opened; checked once per process.

    Errors: ModelError for a file that is damaged, that names what a model may not name (unless the user trusts its
    code), links to other files, or claims more bytes than it stores.
    """
    return _checked(path, _stamp(path), True, trusts_code())


def check_weights_file(path: Path) -> int:
    """As `check_model_file`, of which the weights alone are to be loaded: what else it names does not matter."""
    return _checked(path, _stamp(path), False, False)


def _stamp(path: Path) -> tuple[int, ...]:
    require_regular(path, ModelError)
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


@functools.lru_cache(maxsize=256)
def _checked(path: Path, stamp: tuple[int, ...], whole: bool, trusted: bool) -> int:
    import h5py

    what = f"{path}"
    try:
        if zipfile.is_zipfile(path):
            return _check_zip(path, whole)
        with h5py.File(path, "r") as tree:
            if whole:
                _check_older_config(tree, what)
            return check_hdf5(tree, what)
    except KDCompressError:
        raise
    except _DAMAGED as exc:
        raise ModelError(
            f"{path} cannot be loaded as a Keras model: it is truncated, damaged or none ({one_line(exc, 120)})"
        ) from exc


def _check_zip(path: Path, whole: bool) -> int:
    import h5py

    what = f"{path}"
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        _check_members(infos, path)
        if whole:
            if archive.getinfo(CONFIG).file_size > _MOST_CONFIG:
                raise ModelError(f"{what}: its configuration is larger than {_MOST_CONFIG:,} bytes; no model's is")
            check_config(parse_config(archive.read(CONFIG), what), what)
        with h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as tree:
            return check_hdf5(tree, what)


def _check_members(infos: list[zipfile.ZipInfo], path: Path) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise ModelError(f"{path} holds two members of one name; it is damaged, or made to deceive")
    for info in infos:
        if not is_below(path.parent, info.filename.rstrip("/")):
            raise ModelError(f"{path}: member {info.filename[:80]!r} leads out of its folder")
        if info.compress_type not in _PACKED:
            raise ModelError(f"{path}: member {info.filename[:80]!r} is packed neither stored nor deflated")
    declared, most = sum(info.file_size for info in infos), max(_SLACK, _MOST_TIMES * path.stat().st_size)
    if declared > most:
        raise ModelError(f"{path} would unpack to {declared:,} bytes, above {most:,}: a zip bomb, and no model")


def _check_older_config(tree: Any, what: str) -> None:
    """The configuration of an `.h5` model; of weights alone there is none."""
    config = tree.attrs.get("model_config")
    if config is not None:
        check_config(parse_config(config, what), what)


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
