"""What a data set is: labelled images in a train and a test part, and where they came from."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import cache_dir
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.section import Section


@dataclass(frozen=True)
class Samples:
    """Images (n, H, W, C) uint8, labels (n,) int64 counted from 0, and ids (n,) unique text."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Samples:
        """The samples at `index`, in that order."""
        return Samples(self.images[index], self.labels[index], self.ids[index])


@dataclass(frozen=True)
class Dataset:
    """A data set as loaded; `source` says in words where it came from, `notice` what to beware of."""

    name: str
    source: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    notice: str | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, pixels and labels of both parts: equal data, equal fingerprint, whatever the file."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            digest.update(repr(part.images.shape).encode())
            digest.update(np.ascontiguousarray(part.images).data)
            digest.update(np.ascontiguousarray(part.labels).data)
        return digest.hexdigest()

    @property
    def facts(self) -> dict[str, str]:
        """Name, source and fingerprint: what a run remembers its data by."""
        return {"name": self.name, "source": self.source, "fingerprint": self.fingerprint}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels


class DatasetSource(Section, ABC):
    """Where a data set is looked for; a subclass knows how to read, check and get it."""

    dir: str | None = None

    @abstractmethod
    def load(self, progress: Progress) -> Dataset:
        """Find and read the whole data set; DataError says what is missing or damaged."""

    @abstractmethod
    def download(self, progress: Progress) -> Path:
        """Fetch the published files into the user cache, checked; DataError says why not and what to do."""

    def summary(self, dataset: Dataset) -> list[str]:
        """What `data check` says of a loaded data set, one fact a line."""
        counts = [np.bincount(part.labels, minlength=len(dataset.classes)) for part in (dataset.train, dataset.test)]
        lines = [f"{dataset.name}: {dataset.source}", f"fingerprint {dataset.fingerprint}"]
        height, width, channels = dataset.input_shape
        lines.append(f"train {len(dataset.train):,}, test {len(dataset.test):,}, images {height}x{width}x{channels}")
        for name, train, test in zip(dataset.classes, *counts, strict=True):
            lines.append(f"class {name}: train {train:,}, test {test:,}")
        return lines

    def folders(self, name: str) -> Iterator[Path]:
        """The folders to look in, in order; when the user named one, that one alone (and it must be there)."""
        if self.dir is not None:
            yield readable_folder(Path(self.dir).expanduser())
            return
        if root := os.environ.get("KDCOMPRESS_DATA_DIR"):
            yield Path(root).expanduser() / name
        yield cache_dir("data") / name


def readable_folder(folder: Path) -> Path:
    """Return `folder` if it is one that can be listed and is not empty; DataError if not."""
    if not folder.exists():
        raise DataError(f"data folder {folder} does not exist")
    if not folder.is_dir():
        raise DataError(f"data folder {folder} is a file; name the folder that holds the data")
    try:
        empty = not any(folder.iterdir())
    except PermissionError as exc:
        raise DataError(f"data folder {folder} cannot be read (permission denied)") from exc
    if empty:
        raise DataError(f"data folder {folder} is empty")
    return folder
