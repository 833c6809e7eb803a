"""Your own images as NumPy arrays: x and y, or x_train, y_train, x_test, y_test, in an npz file or in npy files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from kdcompress.data.base import Dataset, DatasetSource, check_data_folder
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.filesystem import expand_user, is_file
from kdcompress.data.images import check_image_values
from kdcompress.data.npz import ArrayFile
from kdcompress.data.samples import Samples
from kdcompress.data.splits import hold_out
from kdcompress.data.stores import Images, MappedImages, resize_images
from kdcompress.data.subclasses import Names, number_subclasses
from kdcompress.errors import DataError
from kdcompress.progress import Progress


class Arrays(DatasetSource):
    """`dir` is a folder of npy files or an npz file; what lies there uncompressed stays on disk.

    x is (n, H, W) or (n, H, W, C) uint8, y (n,) whole numbers from 0, or names. Optional: `ids`, `groups` and
    `subclasses` (n,), and `classes`, the names of the classes; with a part's ending (x_train, ids_train) where the
    arrays have one.

    `size` (H or H, W) is what images are scaled to, if not their own; `test_fraction` and `split_seed` count where
    there is one part alone.
    """

    dir: str
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)

    def load(self, progress: Progress) -> Dataset:
        """Map the arrays and check them; see the class."""
        path = expand_user(self.dir)
        file = ArrayFile(path if is_file(path) else check_data_folder(path), progress)
        endings = [f"_{part}" for part in ("train", "val", "test") if f"x_{part}" in file] or [""]
        if endings != [""] and not {"_train", "_test"} <= set(endings):
            raise DataError(f"{path} must have x_train and x_test, or x alone; it has {', '.join(file.names)}")
        labels = {ending: _labels(file, ending) for ending in endings}
        count = sum(map(len, labels.values()))
        for ending, found in labels.items():
            _refuse_beyond(file, ending, found, count)
        classes = _classes(file, list(labels.values()), count)
        parts = {ending: _samples(file, ending, labels[ending], classes) for ending in endings}
        if self.size is not None:
            parts = {ending: _scaled(part, self.size) for ending, part in parts.items()}
        _refuse_repeated(file, list(parts.values()))
        parts, named = _with_subclasses(file, parts, classes)
        if endings == [""]:
            index = np.arange(len(parts[""]))
            train, test = hold_out(parts[""], index, self.test_fraction, self.split_seed, classes, "test")
            progress.note(f"no test part is given: {len(test):,} of {len(index):,} images are kept for it")
            parts = {"_train": parts[""].take(train), "_test": parts[""].take(test)}
        shapes = {part.images.shape[1:] for part in parts.values()}
        if len(shapes) > 1:
            sizes = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes))
            raise DataError(f"{path}: the parts hold images of {sizes}; they must agree")
        train_part, test_part, val = parts["_train"], parts["_test"], parts.get("_val")
        dataset = Dataset("arrays", str(path), classes, train_part, test_part, val=val, subclasses=named)
        return replace(dataset, notice=quality_notice(dataset))


DATASET = Arrays


def _with_subclasses(
    file: ArrayFile, parts: dict[str, Samples], classes: tuple[str, ...]
) -> tuple[dict[str, Samples], Names | None]:
    """The parts with their subclasses, if there are arrays of them."""
    found = {ending: file.load_text(f"subclasses{ending}", len(part)) for ending, part in parts.items()}
    there = [fine for fine in found.values() if fine is not None]
    if not there:
        return parts, None
    if len(there) < len(parts):
        raise DataError(f"{file.path}: every part must have subclasses, or none")
    labels = np.concatenate([part.labels for part in parts.values()])
    numbers, named = number_subclasses(labels, np.concatenate(there), classes, str(file.path))
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    pieces = zip(parts.items(), np.split(numbers, ends), strict=True)
    return {ending: replace(part, subclasses=finer) for (ending, part), finer in pieces}, named


def _refuse_repeated(file: ArrayFile, parts: list[Samples]) -> None:
    ids = np.concatenate([part.ids for part in parts])
    names, counts = np.unique(ids, return_counts=True)
    if counts.max(initial=0) > 1:
        raise DataError(f"{file.path}: id {names[counts.argmax()]} is in two parts; ids must be unique")


def _scaled(samples: Samples, size: int | tuple[int, int]) -> Samples:
    height, width = size if isinstance(size, tuple) else (size, size)
    return replace(samples, images=resize_images(samples.images, (height, width, samples.images.shape[3])))


def _labels(file: ArrayFile, ending: str) -> NDArray[Any]:
    name = f"y{ending}"
    found = np.asarray(file[name])
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1 or found.dtype.kind not in "iuU":
        raise DataError(
            f"{file.path}: {name} must be (n,) whole numbers from 0 or names, got {found.dtype} {found.shape}"
            + ("; of one-hot rows take argmax(axis=1)" if found.ndim == 2 else "")
        )
    if not len(found):
        raise DataError(f"{file.path}: {name} has no labels")
    return found


def _classes(file: ArrayFile, labels: list[NDArray[Any]], count: int) -> tuple[str, ...]:
    if len({part.dtype.kind == "U" for part in labels}) > 1:
        raise DataError(f"{file.path}: labels are numbers in one part and names in another; they must be of one kind")
    if "classes" in file:
        names = _named(file, count)
    elif labels[0].dtype.kind == "U":
        names = tuple(sorted(set().union(*(np.unique(part).tolist() for part in labels))))
    else:
        names = tuple(str(number) for number in range(max(max(int(part.max()) for part in labels), 0) + 1))
    if len(names) < 2:
        raise DataError(f"{file.path} holds one class alone; a classifier needs two or more")
    return names


def _refuse_beyond(file: ArrayFile, ending: str, labels: NDArray[Any], count: int) -> None:
    """DataError for a number that is none of a class, for each class has an image: it would make as many classes."""
    if labels.dtype.kind in "iu" and len(bad := np.flatnonzero(labels >= count)):
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{ending} is out of range: labels that are "
            f"numbers count the classes from 0, each of which has an image, so they are below {count:,}, the number of "
            "images; save names if they are no such numbers"
        )


def _named(file: ArrayFile, count: int) -> tuple[str, ...]:
    """The names that the file gives its classes; DataError unless they can be that."""
    found = file["classes"]
    if found.ndim != 1 or len(found) > count:
        raise DataError(
            f"{file.path}: classes must be (k,) names of no more classes than there are images ({count:,}), "
            f"got {found.shape}"
        )
    texts = file.load_text("classes", len(found))
    names = () if texts is None else tuple(texts.tolist())
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise DataError(f"{file.path}: two classes have the same name {twice[0][:80]!r}")
    return names


def _samples(file: ArrayFile, ending: str, labels: NDArray[Any], classes: tuple[str, ...]) -> Samples:
    images = _images(file, f"x{ending}")
    if len(images) != len(labels):
        raise DataError(f"{file.path}: {len(images):,} images in x{ending}, but {len(labels):,} labels in y{ending}")
    numbers = _numbers(file, ending, labels, classes)
    if len(missing := np.flatnonzero(np.bincount(numbers, minlength=len(classes)) == 0)) and ending in ("", "_train"):
        hint = "; labels count from 0" if missing[0] == 0 and labels.dtype.kind != "U" else ""
        raise DataError(f"{file.path}: y{ending} has no image of class {classes[missing[0]]}{hint}")
    part = ending.removeprefix("_") or "x"
    ids = file.load_text(f"ids{ending}", len(labels))
    if ids is None:
        ids = np.char.add(f"{part}/", np.arange(len(labels)).astype(str))
    elif len(np.unique(ids)) < len(ids):
        raise DataError(f"{file.path}: ids{ending} names an image twice; ids must be unique")
    return Samples(images, numbers, ids, file.load_text(f"groups{ending}", len(labels)))


def _images(file: ArrayFile, name: str) -> Images:
    array = file[name]
    channels = array.shape[3] if array.ndim == 4 else 1
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or channels not in (1, 3, 4) or not array.size:
        remedy = _remedy(array)
        raise DataError(
            f"{file.path}: {name} must be pixels of uint8, (n, H, W) or (n, H, W, C) with C 1, 3 or 4, "
            f"got {array.dtype} {array.shape}{remedy}"
        )
    check_image_values(array.shape, f"{file.path}: {name}")
    if isinstance(array, np.memmap):
        return MappedImages(array)
    return array.reshape(*array.shape[:3], channels)


def _remedy(array: NDArray[Any]) -> str:
    """What makes pixels (n, H, W, C) of an array that is none, as far as a look at its first images tells."""
    if array.ndim == 4 and array.shape[1] in (1, 3, 4) and array.shape[3] not in (1, 3, 4):
        return "; put the channels last: x.transpose(0, 2, 3, 1)"
    few = np.asarray(array[:100])
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiu" or not few.size or few.min() < 0 or few.max() > 255:
        return ""
    scaled = array.dtype.kind == "f" and few.max() <= 1
    return f"; make pixels of them: {'(x * 255)' if scaled else 'x'}.round().astype('uint8')"


def _numbers(file: ArrayFile, ending: str, labels: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    if labels.dtype.kind == "U":
        place = {name: index for index, name in enumerate(classes)}
        unknown = next((name for name in labels.tolist() if name not in place), None)
        if unknown is not None:
            raise DataError(f"{file.path}: label {unknown[:80]!r} in y{ending} is none of the classes")
        return np.array([place[name] for name in labels.tolist()], np.int64)
    if len(bad := np.flatnonzero((labels < 0) | (labels >= len(classes)))):
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{ending} is out of range, "
            f"must be 0 to {len(classes) - 1}"
        )
    return labels.astype(np.int64)
