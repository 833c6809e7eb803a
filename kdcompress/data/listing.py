"""From a list of labelled image files to a data set: classes, sizes, parts, and what is wrong with them."""

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

from kdcompress.data.base import Dataset, DatasetSource
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.images import Shape
from kdcompress.data.index import format_size_range, index_images
from kdcompress.data.samples import Samples
from kdcompress.data.splits import hold_out
from kdcompress.data.stores import FileImages
from kdcompress.data.subclasses import number_subclasses
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.registry import suggestion

# What people call the parts of their data
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Listing:
    """Image files below `root` by name, each with the name of its class, its part ("" where none is said), group and
    subclass.

    `ids` are the names themselves unless given; `votes` (n, classes) are in the data set's own order of classes.
    """

    root: Path
    names: list[str]
    labels: list[str]
    parts: list[str]
    groups: list[str] | None
    subclasses: list[str] | None = None
    ids: list[str] | None = None
    votes: NDArray[np.int64] | None = None


class ImageFiles(DatasetSource):
    """Image files of your own: how they are read, and how they are divided where they are not divided already.

    `size` (H or H, W) is needed where the files differ in size; `classes` chooses some, or another order than the
    alphabet's; `test_fraction` and `split_seed` count where there is no test part.
    """

    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    colour: Literal["auto", "grey", "rgb"] = "auto"
    classes: tuple[str, ...] | None = None
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)

    @abstractmethod
    def listing(self, progress: Progress) -> Listing:
        """What files there are; DataError for what is missing or inconsistent."""

    def load(self, progress: Progress) -> Dataset:
        """Read, check and divide the images; each is decoded once, and known afterwards."""
        listed = self.listing(progress)
        classes, labels = self._labels(listed)
        chosen = np.flatnonzero(labels >= 0)
        names = np.array(listed.names, np.str_)[chosen]
        rows = index_images(listed.root, names, progress)
        images = FileImages(listed.root, names, self._shape(rows), rows["sha256"])
        groups = None if listed.groups is None else np.array(listed.groups, np.str_)[chosen]
        finer, named = None, None
        if listed.subclasses is not None:
            fine = np.array(listed.subclasses, np.str_)[chosen]
            finer, named = number_subclasses(labels[chosen], fine, classes, str(listed.root))
        ids = names if listed.ids is None else np.array(listed.ids, np.str_)[chosen]
        votes = None if listed.votes is None else listed.votes[chosen]
        samples = Samples(images, labels[chosen], ids, groups, finer, votes)
        parts = self._divide(samples, np.array(listed.parts, np.str_)[chosen], classes, progress)
        name = type(self).__module__.rpartition(".")[2].replace("_", "-")
        train, test, val = parts["train"], parts["test"], parts.get("val")
        dataset = Dataset(name, str(listed.root), classes, train, test, val=val, subclasses=named)
        return replace(dataset, notice=quality_notice(dataset))

    def _labels(self, listed: Listing) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The classes in order, and the number of each file's; -1 for a class that was not chosen."""
        found = sorted(set(listed.labels))
        _refuse_alike(found)
        classes, known = self.classes or tuple(found), set(found)
        times = Counter(classes)
        for name in classes:
            if times[name] > 1:
                raise DataError(f"data.classes names {name!r} twice")
            if name not in known:
                raise DataError(
                    f"data.classes: {listed.root} has no class {name!r}{suggestion(name, found)}; "
                    f"it has {', '.join(found)}"
                )
        if len(classes) < 2:
            inside = listed.root / classes[0]
            deeper = inside.is_dir() and any(item.is_dir() for item in inside.iterdir())
            hint = f"; is it {inside} that is meant?" if deeper else "; a classifier needs two or more"
            raise DataError(f"{listed.root} holds one class alone ({classes[0]}){hint}")
        number = {name: index for index, name in enumerate(classes)}
        return classes, np.array([number.get(label, -1) for label in listed.labels], np.int64)

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
        """Train, test and perhaps val, each class in train and in none of the others alone."""
        there = {name: np.flatnonzero(parts == name) for name in ("train", "val", "test") if (parts == name).any()}
        if len(there) and "train" not in there:
            raise DataError(f"there is no train part, only {', '.join(there)}")
        if not there or list(there) == ["train"]:
            fraction, seed = self.test_fraction, self.split_seed
            train, test = hold_out(samples, np.arange(len(samples)), fraction, seed, classes, "test")
            progress.note(f"no test part is given: {len(test):,} of {len(samples):,} images are kept for it")
            return {"train": samples.take(train), "test": samples.take(test)}
        if "test" not in there:
            progress.note("no test part is given: the validation part is taken for it")
            there["test"] = there.pop("val")
        divided = {name: samples.take(index) for name, index in there.items()}
        _refuse_lonely(divided, classes)
        return divided


def _refuse_alike(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFC", name).casefold().strip()
        if plain in seen:
            raise DataError(f"two classes have the same name but for its spelling: {seen[plain]!r} and {name!r}")
        seen[plain] = name


def _refuse_lonely(parts: Mapping[str, Samples], classes: tuple[str, ...]) -> None:
    known = set(parts["train"].labels.tolist())
    for name, part in parts.items():
        if alone := sorted(set(part.labels.tolist()) - known):
            raise DataError(f"class {classes[alone[0]]} is in {name}, but train has no image of it")
    if len(known) < len(classes):
        missing = next(name for index, name in enumerate(classes) if index not in known)
        raise DataError(f"train has no image of class {missing}")
