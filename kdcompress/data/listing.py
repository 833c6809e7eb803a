"""Data sets from lists of labelled image files."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from kdcompress.config.images import ImageSettings
from kdcompress.data.base import Dataset, DatasetSource
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.index import format_size_range, index_images
from kdcompress.data.near_twins import near_twins_note
from kdcompress.data.pixels import Shape
from kdcompress.data.ranges import check_file_ranges
from kdcompress.data.resizing import note_distorted
from kdcompress.data.samples import Samples
from kdcompress.data.splits import hold_out
from kdcompress.data.stores import FileImages
from kdcompress.data.subclasses import number_subclasses
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.registry import did_you_mean


@dataclass(frozen=True)
class Listing:
    """A list of n labelled image files.

    Attributes:
        root: Folder of the files.
        names: Paths relative to `root`.
        labels: Class names.
        parts: "train", "val" or "test"; "" if the data are not divided.
        groups: Group of each image, or None.
        subclasses: Name of each image's subclass, or None.
        ids: Unique ids; the names by default.
        votes: Annotators' votes, (n, classes), in the data set's own order of classes, or None.
    """

    root: Path
    names: list[str]
    labels: list[str]
    parts: list[str]
    groups: list[str] | None
    subclasses: list[str] | None = None
    ids: list[str] | None = None
    votes: NDArray[np.int64] | None = None


class ImageFiles(ImageSettings, DatasetSource):
    """Base class of data sources of image files, with the settings of their conversion to pixels.

    Attributes:
        size: H or (H, W) to which images are resized; required if the files differ in size.
        colour: Whether images are read as grey or RGB; by default grey if all files are.
        classes: Classes to use, in order; all in alphabetical order by default.
        test_fraction: Fraction of images held out for test if there is no test part.
        split_seed: Seed of that split.
    """

    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    colour: Literal["auto", "grey", "rgb"] = "auto"
    classes: tuple[str, ...] | None = None
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)

    @abstractmethod
    def listing(self, progress: Progress) -> Listing:
        """List the files.

        Args:
            progress: Receives notes.

        Returns:
            The files.

        Raises:
            DataError: If something is missing or inconsistent.
        """

    def load(self, progress: Progress) -> Dataset:
        """Check, index and divide the images; see `DatasetSource.load`."""
        listed = self.listing(progress)
        classes, labels = self._labels(listed)
        selected = np.flatnonzero(labels >= 0)
        names = np.array(listed.names, np.str_)[selected]
        rows = index_images(listed.root, names, progress)
        check_file_ranges(listed.root, names, rows, self.scale, progress)
        _note_transparent(names, rows, self.background, progress)
        shape = self._shape(rows)
        if self.resize == "squash":
            note_distorted(names, rows, shape, progress)
        images = FileImages(listed.root, names, shape, rows, self.image_settings)
        groups = None if listed.groups is None else np.array(listed.groups, np.str_)[selected]
        subclasses, subclass_names = None, None
        if listed.subclasses is not None:
            named = np.array(listed.subclasses, np.str_)[selected]
            subclasses, subclass_names = number_subclasses(labels[selected], named, classes, str(listed.root))
        ids = names if listed.ids is None else np.array(listed.ids, np.str_)[selected]
        votes = None if listed.votes is None else listed.votes[selected]
        samples = Samples(images, labels[selected], ids, groups, subclasses, votes)
        parts = self._divide(samples, np.array(listed.parts, np.str_)[selected], classes, progress)
        name = type(self).__module__.rpartition(".")[2].replace("_", "-")
        train, test, val = parts["train"], parts["test"], parts.get("val")
        dataset = Dataset(name, str(listed.root), classes, train, test, None, val, subclass_names, self.image_settings)
        if note := near_twins_note(train, test):
            progress.note(note)
        return replace(dataset, notice=quality_notice(dataset))

    def _labels(self, listed: Listing) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the classes in order and each file's class index; -1 for a class that is not used."""
        present = sorted(set(listed.labels))
        _check_distinct(present)
        classes = self.classes or tuple(present)
        counts = Counter(classes)
        for name in classes:
            if counts[name] > 1:
                raise DataError(f"data.classes names {name!r} twice")
            if name not in present:
                raise DataError(
                    f"data.classes: {listed.root} has no class {name!r}{did_you_mean(name, present)}; "
                    f"it has {', '.join(present)}"
                )
        if len(classes) < 2:
            only = listed.root / classes[0]
            is_nested = only.is_dir() and any(item.is_dir() for item in only.iterdir())
            hint = f"; is it {only} that is meant?" if is_nested else "; a classifier needs two or more"
            raise DataError(f"{listed.root} holds one class alone ({classes[0]}){hint}")
        index_of = {name: index for index, name in enumerate(classes)}
        return classes, np.array([index_of.get(label, -1) for label in listed.labels], np.int64)

    def _shape(self, rows: NDArray[np.void]) -> Shape:
        grey = rows["grey"].all() if self.colour == "auto" else self.colour == "grey"
        if self.size is None:
            height, width = int(rows["height"][0]), int(rows["width"][0])
            if (rows["height"] != height).any() or (rows["width"] != width).any():
                raise DataError(
                    f"the images are of different sizes ({format_size_range(rows)}); say to which one they are scaled: "
                    "data.size = 224, or [height, width]"
                )
        else:
            height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return height, width, 1 if grey else 3

    def _divide(
        self, samples: Samples, parts: NDArray[np.str_], classes: tuple[str, ...], progress: Progress
    ) -> Mapping[str, Samples]:
        """Divide samples into train, test and possibly val, and check that train has every class."""
        indices = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test") if (parts == name).any()}
        if len(indices) and "train" not in indices:
            raise DataError(f"there is no train part, only {', '.join(indices)}")
        if not indices or list(indices) == ["train"]:
            fraction, seed = self.test_fraction, self.split_seed
            train, test = hold_out(samples, np.arange(len(samples)), fraction, seed, classes, "test")
            progress.note(f"no test part is given: {len(test):,} of {len(samples):,} images are kept for it")
            return {"train": samples.take(train), "test": samples.take(test)}
        if "test" not in indices:
            progress.note("no test part is given: the validation part is taken for it")
            indices["test"] = indices.pop("val")
        divided = {name: samples.take(index) for name, index in indices.items()}
        _check_classes_in_train(divided, classes)
        return divided


def _note_transparent(names: NDArray[np.str_], rows: NDArray[np.void], background: object, progress: Progress) -> None:
    if clear := np.count_nonzero(rows["clear"]):
        verb = "images have" if clear > 1 else "image has"
        progress.note(
            f"{clear:,} of {len(names):,} {verb} transparent pixels, such as {names[rows['clear']][0]}: drawn on "
            f"{background} (data.background)"
        )


def _check_distinct(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", name).casefold().strip()
        if plain in seen:
            raise DataError(f"two classes have the same name but for its spelling: {seen[plain]!r} and {name!r}")
        seen[plain] = name


def _check_classes_in_train(parts: Mapping[str, Samples], classes: tuple[str, ...]) -> None:
    known = set(parts["train"].labels.tolist())
    for name, part in parts.items():
        if alone := sorted(set(part.labels.tolist()) - known):
            raise DataError(f"class {classes[alone[0]]} is in {name}, but train has no image of it")
    if len(known) < len(classes):
        missing = next(name for index, name in enumerate(classes) if index not in known)
        raise DataError(f"train has no image of class {missing}")
