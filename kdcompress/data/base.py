"""What a data set is: labelled images in a train and a test part, and where they came from."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.cache import cache_dir
from kdcompress.config.choices import Choice
from kdcompress.data.filesystem import exists, expand_user, is_folder
from kdcompress.data.stores import Images, JoinedImages, content_bytes, take_images
from kdcompress.errors import DataError
from kdcompress.files import write_text
from kdcompress.progress import Progress

UNLABELLED = -1


@dataclass(frozen=True)
class Samples:
    """Images (n, H, W, C) uint8, labels (n,) int64 counted from 0, and ids (n,) unique text.

    An image without a label has UNLABELLED. `groups` (n,) name what must stay on one side of a split (a patient, a
    scene), `subclasses` (n,) are finer labels, counted through all classes, where the data say so. `votes` (n, classes)
    is how many annotators chose each class, `soft_labels` (n, classes) what is learned in place of the labels, rows
    that sum to 1.
    """

    images: Images
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None = None
    subclasses: NDArray[np.int64] | None = None
    votes: NDArray[np.int64] | None = None
    soft_labels: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Samples:
        """The samples at `index`, in that order."""

        def of(rows: Any) -> Any:
            return None if rows is None else rows[index]

        beside = (self.groups, self.subclasses, self.votes, self.soft_labels)
        return Samples(take_images(self.images, index), self.labels[index], self.ids[index], *map(of, beside))

    def join(self, other: Samples) -> Samples:
        """These samples with the unlabelled `other` behind them; beside images, labels and ids, soft labels stay."""
        images, soft_labels = JoinedImages(self.images, other.images), self.soft_labels
        if soft_labels is not None:  # of which those of an image without label weigh nothing
            soft_labels = np.concatenate(
                [soft_labels, np.full((len(other), soft_labels.shape[-1]), 1 / soft_labels.shape[-1], "f4")]
            )
        labels, ids = np.append(self.labels, other.labels), np.append(self.ids, other.ids)
        return Samples(images, labels, ids, soft_labels=soft_labels)

    def digest(self) -> str:
        """SHA-256 over shapes, pixels and labels."""
        return samples_digest([self])


def samples_digest(parts: Iterable[Samples]) -> str:
    """SHA-256 over shapes, pixels (of files: their bytes) and labels of all parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part.images.shape).encode())
        for piece in content_bytes(part.images):
            digest.update(piece)
        digest.update(np.ascontiguousarray(part.labels).data)
        # "chances" is the former name of the soft labels, which the fingerprints of earlier runs contain
        further = (("subclasses", part.subclasses), ("chances", part.soft_labels), ("votes", part.votes))
        for key, values in further:
            if values is not None:
                digest.update(key.encode())
                digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A data set as loaded; `source` says in words where it came from, `notice` what to beware of.

    `val` is the validation part of data that come with one; of others it is carved from train. `subclasses` are the
    names of finer classes by class, where there are such.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    notice: str | None = None
    val: Samples | None = None
    subclasses: tuple[tuple[str, ...], ...] | None = None

    @property
    def parts(self) -> dict[str, Samples]:
        """The parts that there are, by name."""
        return {"train": self.train, **({"val": self.val} if self.val else {}), "test": self.test}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shapes, pixels and labels of all parts: equal data, equal fingerprint, whatever the file.

        Of image files, their bytes stand for the pixels.
        """
        return samples_digest(self.parts.values())

    @property
    def facts(self) -> dict[str, str]:
        """Name, source and fingerprint: what a run remembers its data by."""
        return {"name": self.name, "source": self.source, "fingerprint": self.fingerprint}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels


def write_ids(path: Path, dataset: Dataset) -> None:
    """Write id, part and label of every image to a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "part", "label"])
    for name, part in dataset.parts.items():
        labels = [dataset.classes[label] for label in part.labels]
        writer.writerows([one, name, label] for one, label in zip(part.ids.tolist(), labels, strict=True))
    write_text(path, text.getvalue())


class DatasetSource(Choice, ABC):
    """Where a data set is looked for; a subclass knows how to read, check and get it."""

    SECTION: ClassVar[str] = "data"

    PATHS: ClassVar[tuple[str, ...]] = ("dir",)
    """The settings that say where data lie: relative to the recipe's file, and no part of what decides a run."""

    dir: str | None = None

    @abstractmethod
    def load(self, progress: Progress) -> Dataset:
        """Find and read the whole data set; DataError says what is missing or damaged."""

    def download(self, progress: Progress) -> Path:
        """Fetch the published files into the user cache, checked; DataError says why not and what to do."""
        raise DataError("these are your own images: there is nothing to download; name their place with --data-dir")

    def summary(self, dataset: Dataset) -> list[str]:
        """What `data check` says of a loaded data set, one fact a line."""
        parts = dataset.parts
        lines = [f"{dataset.name}: {dataset.source}", f"fingerprint {dataset.fingerprint}"]
        height, width, channels = dataset.input_shape
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
        lines.append(f"{sizes}, images {height}x{width}x{channels}")
        for name, part in parts.items():
            if part.groups is not None:
                lines.append(f"groups: {len(np.unique(part.groups)):,} in {name}")
        counts = {name: np.bincount(part.labels, minlength=len(dataset.classes)) for name, part in parts.items()}
        for index, label in enumerate(dataset.classes):
            lines.append(f"class {label}: " + ", ".join(f"{name} {count[index]:,}" for name, count in counts.items()))
        return lines

    def search_folders(self, name: str) -> Iterator[Path]:
        """The folders to look in, in order; when the user named one, that one alone (and it must be there)."""
        if self.dir is not None:
            yield check_data_folder(expand_user(self.dir))
            return
        if root := os.environ.get("KDCOMPRESS_DATA_DIR"):
            yield expand_user(root) / name
        yield cache_dir("data") / name


def check_data_folder(folder: Path) -> Path:
    """Return `folder` if it is one that can be listed and is not empty; DataError if not."""
    if not exists(folder):
        raise DataError(f"data folder {folder} does not exist")
    if not is_folder(folder):
        raise DataError(f"data folder {folder} is a file; name the folder that holds the data")
    try:
        empty = not any(folder.iterdir())
    except PermissionError as exc:
        raise DataError(f"data folder {folder} cannot be read (permission denied)") from exc
    if empty:
        raise DataError(f"data folder {folder} is empty")
    return folder
