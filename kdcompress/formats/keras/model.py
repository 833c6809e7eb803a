"""Check of untrusted Keras files, before Keras opens them: what they name and link to, and their declared sizes."""

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
_MAX_VERSION_LENGTH = 20
_MAX_CONFIG_BYTES = 64 << 20
# Limit of what a file may unpack to, and allowance for weights that a model creates and the file does not store
_MAX_COMPRESSION, _SLACK = 100, 64 << 20
_NO_MODEL = "cannot be loaded as a Keras model, it is truncated, damaged or none"
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError, EOFError, zipfile.BadZipFile,
            zlib.error, NotImplementedError)  # fmt: skip


def check_model_file(path: Path) -> int:
    """Check a `.keras` or `.h5` model file.

    Args:
        path: The file.

    Returns:
        Bytes of the stored weights.

    Raises:
        ModelError: The file is damaged, names classes or functions that are not allowed (unless the user trusts its
            code), links to other files, or declares more bytes than it stores.
    """
    stored = check_weights_file(path)
    with _model_errors(path):
        check_config(parse_config(_config(path), str(path)), str(path))
    return stored


def check_weights_file(path: Path, damaged: str = _NO_MODEL) -> int:
    """Check a file of which only the weights will be loaded, so that its configuration does not matter.

    Args:
        path: The file.
        damaged: Error message for a damaged file, after its path.

    Returns:
        Bytes of the stored weights.

    Raises:
        ModelError: The file is damaged, links to other files, or declares more bytes than it stores.
    """
    check_regular_file(path, ModelError)
    stat = path.stat()
    return _check_weights(path, damaged, (stat.st_size, stat.st_mtime_ns, stat.st_ino))


@functools.lru_cache(maxsize=256)  # one command opens a run's models several times
def _check_weights(path: Path, damaged: str, stamp: tuple[int, ...]) -> int:
    import h5py

    with _model_errors(path, damaged):
        if path.suffix.lower() != ".keras" and not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as tree:
                return check_hdf5(tree, str(path))
        with zipfile.ZipFile(path) as archive:
            _check_members(archive.infolist(), path)
            with h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as tree:
                return check_hdf5(tree, str(path))


def _config(path: Path) -> str | bytes:
    """Read the configuration of a model whose weights have been checked."""
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(CONFIG).file_size > _MAX_CONFIG_BYTES:
                raise ModelError(f"{path}: its configuration is larger than {_MAX_CONFIG_BYTES:,} bytes; no model's is")
            return archive.read(CONFIG)
    with h5py.File(path, "r") as tree:
        config: str | bytes = tree.attrs["model_config"]
        return config


def read_keras_version(path: Path) -> str:
    """Read which version of Keras saved a model file.

    Args:
        path: A file that has been checked.

    Returns:
        The version; empty if the file does not record it.
    """
    import h5py

    with contextlib.suppress(ModelError, *_DAMAGED):
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as tree:
                return str(tree.attrs.get("keras_version", ""))[:_MAX_VERSION_LENGTH]
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(METADATA).file_size < _MAX_CONFIG_BYTES:
                metadata = parse_config(archive.read(METADATA), str(path))
                return str(metadata.get("keras_version", ""))[:_MAX_VERSION_LENGTH]
    return ""


@contextmanager
def _model_errors(path: Path, damaged: str = _NO_MODEL) -> Iterator[None]:
    """Convert the errors of a damaged file to a ModelError of one line."""
    try:
        yield
    except _DAMAGED as exc:
        raise ModelError(f"{path} {damaged}: {one_line(exc, 120)}") from exc


def _check_members(infos: list[zipfile.ZipInfo], path: Path) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise ModelError(f"{path} holds two members of one name; it is damaged, or made to deceive")
    for info in infos:
        if not is_safe_path(path.parent, info.filename.rstrip("/")):
            raise ModelError(f"{path}: member {info.filename[:80]!r} leads out of its folder")
        if info.compress_type not in _COMPRESSIONS:
            raise ModelError(f"{path}: member {info.filename[:80]!r} is packed neither stored nor deflated")
    declared, limit = sum(info.file_size for info in infos), max(_SLACK, _MAX_COMPRESSION * path.stat().st_size)
    if declared > limit:
        raise ModelError(f"{path} would unpack to {declared:,} bytes, above {limit:,}: a zip bomb, and no model")


@contextmanager
def limit_weights(stored: int, name: str) -> Iterator[None]:
    """Limit the weights that new layers may allocate, since a file of a few bytes can declare a billion units.

    Args:
        stored: Bytes of weights that the file stores.
        name: Name of the file in errors.

    Yields:
        Nothing.

    Raises:
        ModelError: Layers would allocate far more than is stored.
    """
    import keras

    limit, total = 2 * stored + _SLACK, 0
    original = keras.layers.Layer.add_weight

    @functools.wraps(original)
    def add_weight(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal total
        shape = kwargs.get("shape", args[0] if args else ()) or ()
        sizes = [shape] if isinstance(shape, int) else shape
        count = 1
        for size in sizes:
            count *= max(int(size or 1), 1)
        total += 4 * count
        if total > limit:
            raise ModelError(
                f"{name} makes a model of more than {total:,} bytes of weights (layer {str(self.name)[:40]!r} of shape "
                f"{tuple(sizes)}), and stores {stored:,}"
            )
        return original(self, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original
