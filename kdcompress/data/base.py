"""Data sets and data sources."""

from __future__ import annotations

import csv
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from kdcompress.cache import cache_dir
from kdcompress.config.choices import Choice
from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.data.filesystem import exists, expand_user, is_folder
from kdcompress.data.samples import Samples, samples_digest
from kdcompress.errors import DataError
from kdcompress.files import valid_utf8, write_text
from kdcompress.progress import Progress


@dataclass(frozen=True)
class Dataset:
    """A loaded data set.

    Attributes:
        name: Name of the source.
        source: Where the data come from, in words.
        classes: Class names.
        train: Training part.
        test: Test part.
        notice: Warnings about the data, such as duplicates, or None.
        val: Validation part, or None if it is split off from train.
        subclasses: Names of known subclasses by class, or None.
        image_settings: How further image files are converted to pixels as these are.
        array_scale: Factor of the numbers of further arrays of images, as of those here; None for pixels of uint8.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    notice: str | None = None
    val: Samples | None = None
    subclasses: tuple[tuple[str, ...], ...] | None = None
    image_settings: ImageSettings = DEFAULT_IMAGE_SETTINGS
    array_scale: float | None = None

    @property
    def parts(self) -> dict[str, Samples]:
        """The existing parts, by name."""
        return {"train": self.train, **({"val": self.val} if self.val else {}), "test": self.test}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shapes, pixels (or bytes of image files) and labels of all parts, whatever the file format."""
        return samples_digest(self.parts.values())

    @property
    def facts(self) -> dict[str, str]:
        """Name, source and fingerprint, which a run's manifest records."""
        return {"name": self.name, "source": self.source, "fingerprint": self.fingerprint}

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels


def class_lines(word: str, dataset: Dataset) -> list[str]:
    """Count the images of each class by part.

    Args:
        word: What a line begins with.
        dataset: The data set.

    Returns:
        A line for each class.
    """
    n = len(dataset.classes)
    counts = {name: np.bincount(part.labels, minlength=n) for name, part in dataset.parts.items()}
    return [
        f"{word} {label}: " + ", ".join(f"{name} {count[index]:,}" for name, count in counts.items())
        for index, label in enumerate(dataset.classes)
    ]


def write_ids(path: Path, dataset: Dataset) -> None:
    """Write id, part and label of every image atomically to a CSV file in UTF-8.

    Bytes of names that are not UTF-8 become escapes such as \\xe4.

    Args:
        path: The file.
        dataset: The data set.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "part", "label"])
    for name, part in dataset.parts.items():
        labels = [dataset.classes[label] for label in part.labels]
        writer.writerows([sample, name, label] for sample, label in zip(part.ids.tolist(), labels, strict=True))
    write_text(path, valid_utf8(text.getvalue()))


class DatasetSource(Choice, ABC):
    """Base class of data sources: settings that locate a data set, and the code that reads and checks it.

    Attributes:
        dir: Folder of the data set, relative to the recipe's file. By default it is searched in
            KDCOMPRESS_DATA_DIR/NAME and in the cache.
    """

    SECTION: ClassVar[str] = "data"

    PATHS: ClassVar[tuple[str, ...]] = ("dir",)
    """Settings that are paths: relative to the recipe's file, and not part of a run's identity."""

    dir: str | None = None

    @abstractmethod
    def load(self, progress: Progress) -> Dataset:
        """Find and read the data set.

        Args:
            progress: Receives notes and progress.

        Returns:
            The data set.

        Raises:
            DataError: If something is missing or damaged.
        """

    def download(self, progress: Progress) -> Path:
        """Download the published files into the cache and verify them.

        Args:
            progress: Receives notes and progress.

        Returns:
            The folder.

        Raises:
            DataError: If they cannot be downloaded; says what to do instead.
        """
        raise DataError("these are your own images: there is nothing to download; name their place with --data-dir")

    def summary(self, dataset: Dataset) -> list[str]:
        """Describe a loaded data set, as `data check` prints it.

        Args:
            dataset: What `load` returned.

        Returns:
            Lines.
        """
        parts = dataset.parts
        lines = [f"{dataset.name}: {dataset.source}", f"fingerprint {dataset.fingerprint}"]
        height, width, channels = dataset.input_shape
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
        lines.append(f"{sizes}, images {height}x{width}x{channels}")
        for name, part in parts.items():
            if part.groups is not None:
                lines.append(f"groups: {len(np.unique(part.groups)):,} in {name}")
        return [*lines, *class_lines("class", dataset)]

    def search_folders(self, name: str) -> Iterator[Path]:
        """Yield the folders to search, in order.

        Args:
            name: Name of the data set's folder.

        Yields:
            The user's folder alone if there is one, else that in KDCOMPRESS_DATA_DIR and that in the cache.

        Raises:
            DataError: If the user's folder is missing, unreadable or empty.
        """
        if self.dir is not None:
            yield check_data_folder(expand_user(self.dir))
            return
        if root := os.environ.get("KDCOMPRESS_DATA_DIR"):
            yield expand_user(root) / name
        yield cache_dir("data") / name


def check_data_folder(folder: Path) -> Path:
    """Check that a data folder can be read and is not empty.

    Args:
        folder: The folder.

    Returns:
        `folder`.

    Raises:
        DataError: If it is missing, a file, unreadable or empty.
    """
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
