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
    """Arrays in an npz file or in a folder of npy files; uncompressed ones are memory-mapped.

    x is (n, H, W) or (n, H, W, C) uint8, y (n,) class indices or names. Optional are `ids`, `groups` and `subclasses`
    (n,), and `classes`, the class names. In divided data, all but `classes` have the suffix of a part (x_train).

    Attributes:
        dir: The file or folder.
        size: H or (H, W) to which images are resized; their own size by default.
        test_fraction: Fraction of images held out for test if there is only one part.
        split_seed: Seed of that split.
    """

    dir: str
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)

    def load(self, progress: Progress) -> Dataset:
        """Map and check the arrays; see `DatasetSource.load`."""
        path = expand_user(self.dir)
        file = ArrayFile(path if is_file(path) else check_data_folder(path), progress)
        suffixes = [f"_{part}" for part in ("train", "val", "test") if f"x_{part}" in file] or [""]
        if suffixes != [""] and not {"_train", "_test"} <= set(suffixes):
            raise DataError(f"{path} must have x_train and x_test, or x alone; it has {', '.join(file.names)}")
        labels = {suffix: _labels(file, suffix) for suffix in suffixes}
        count = sum(map(len, labels.values()))
        for suffix, values in labels.items():
            _check_label_range(file, suffix, values, count)
        classes = _classes(file, list(labels.values()), count)
        parts = {suffix: _samples(file, suffix, labels[suffix], classes) for suffix in suffixes}
        if self.size is not None:
            parts = {suffix: _resize(part, self.size) for suffix, part in parts.items()}
        _check_unique_ids(file, list(parts.values()))
        parts, subclass_names = _with_subclasses(file, parts, classes)
        if suffixes == [""]:
            index = np.arange(len(parts[""]))
            train, test = hold_out(parts[""], index, self.test_fraction, self.split_seed, classes, "test")
            progress.note(f"no test part is given: {len(test):,} of {len(index):,} images are kept for it")
            parts = {"_train": parts[""].take(train), "_test": parts[""].take(test)}
        shapes = {part.images.shape[1:] for part in parts.values()}
        if len(shapes) > 1:
            sizes = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes))
            raise DataError(f"{path}: the parts hold images of {sizes}; they must agree")
        train_part, test_part, val = parts["_train"], parts["_test"], parts.get("_val")
        dataset = Dataset("arrays", str(path), classes, train_part, test_part, val=val, subclasses=subclass_names)
        return replace(dataset, notice=quality_notice(dataset))


DATASET = Arrays


def _with_subclasses(
    file: ArrayFile, parts: dict[str, Samples], classes: tuple[str, ...]
) -> tuple[dict[str, Samples], Names | None]:
    """Return the parts with their subclasses and the names of the subclasses, if there are arrays of them."""
    arrays = {suffix: file.load_text(f"subclasses{suffix}", len(part)) for suffix, part in parts.items()}
    present = [array for array in arrays.values() if array is not None]
    if not present:
        return parts, None
    if len(present) < len(parts):
        raise DataError(f"{file.path}: every part must have subclasses, or none")
    labels = np.concatenate([part.labels for part in parts.values()])
    indices, names = number_subclasses(labels, np.concatenate(present), classes, str(file.path))
    ends = np.cumsum([len(part) for part in parts.values()])[:-1]
    pieces = zip(parts.items(), np.split(indices, ends), strict=True)
    return {suffix: replace(part, subclasses=piece) for (suffix, part), piece in pieces}, names


def _check_unique_ids(file: ArrayFile, parts: list[Samples]) -> None:
    ids = np.concatenate([part.ids for part in parts])
    names, counts = np.unique(ids, return_counts=True)
    if counts.max(initial=0) > 1:
        raise DataError(f"{file.path}: id {names[counts.argmax()]} is in two parts; ids must be unique")


def _resize(samples: Samples, size: int | tuple[int, int]) -> Samples:
    height, width = size if isinstance(size, tuple) else (size, size)
    return replace(samples, images=resize_images(samples.images, (height, width, samples.images.shape[3])))


def _labels(file: ArrayFile, suffix: str) -> NDArray[Any]:
    name = f"y{suffix}"
    labels = np.asarray(file[name])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise DataError(
            f"{file.path}: {name} must be (n,) whole numbers from 0 or names, got {labels.dtype} {labels.shape}"
            + ("; of one-hot rows take argmax(axis=1)" if labels.ndim == 2 else "")
        )
    if not len(labels):
        raise DataError(f"{file.path}: {name} has no labels")
    return labels


def _classes(file: ArrayFile, labels: list[NDArray[Any]], count: int) -> tuple[str, ...]:
    if len({part.dtype.kind == "U" for part in labels}) > 1:
        raise DataError(f"{file.path}: labels are numbers in one part and names in another; they must be of one kind")
    if "classes" in file:
        names = _read_class_names(file, count)
    elif labels[0].dtype.kind == "U":
        names = tuple(sorted(set().union(*(np.unique(part).tolist() for part in labels))))
    else:
        names = tuple(str(number) for number in range(max(max(int(part.max()) for part in labels), 0) + 1))
    if len(names) < 2:
        raise DataError(f"{file.path} holds one class alone; a classifier needs two or more")
    return names


def _check_label_range(file: ArrayFile, suffix: str, labels: NDArray[Any], count: int) -> None:
    """Reject labels of at least the number of images: each class has an image, so they are no class indices."""
    if labels.dtype.kind in "iu" and len(bad := np.flatnonzero(labels >= count)):
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{suffix} is out of range: labels that are "
            f"numbers count the classes from 0, each of which has an image, so they are below {count:,}, the number of "
            "images; save names if they are no such numbers"
        )


def _read_class_names(file: ArrayFile, count: int) -> tuple[str, ...]:
    """Read and check the class names."""
    array = file["classes"]
    if array.ndim != 1 or len(array) > count:
        raise DataError(
            f"{file.path}: classes must be (k,) names of no more classes than there are images ({count:,}), "
            f"got {array.shape}"
        )
    texts = file.load_text("classes", len(array))
    names = () if texts is None else tuple(texts.tolist())
    if repeated := [name for name, times in Counter(names).items() if times > 1]:
        raise DataError(f"{file.path}: two classes have the same name {repeated[0][:80]!r}")
    return names


def _samples(file: ArrayFile, suffix: str, labels: NDArray[Any], classes: tuple[str, ...]) -> Samples:
    images = _images(file, f"x{suffix}")
    if len(images) != len(labels):
        raise DataError(f"{file.path}: {len(images):,} images in x{suffix}, but {len(labels):,} labels in y{suffix}")
    indices = _class_indices(file, suffix, labels, classes)
    if len(missing := np.flatnonzero(np.bincount(indices, minlength=len(classes)) == 0)) and suffix in ("", "_train"):
        hint = "; labels count from 0" if missing[0] == 0 and labels.dtype.kind != "U" else ""
        raise DataError(f"{file.path}: y{suffix} has no image of class {classes[missing[0]]}{hint}")
    part = suffix.removeprefix("_") or "x"
    ids = file.load_text(f"ids{suffix}", len(labels))
    if ids is None:
        ids = np.char.add(f"{part}/", np.arange(len(labels)).astype(str))
    elif len(np.unique(ids)) < len(ids):
        raise DataError(f"{file.path}: ids{suffix} names an image twice; ids must be unique")
    return Samples(images, indices, ids, file.load_text(f"groups{suffix}", len(labels)))


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
    """Return a hint on how to convert an array to pixels (n, H, W, C), by its first images."""
    if array.ndim == 4 and array.shape[1] in (1, 3, 4) and array.shape[3] not in (1, 3, 4):
        return "; put the channels last: x.transpose(0, 2, 3, 1)"
    few = np.asarray(array[:100])
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiu" or not few.size or few.min() < 0 or few.max() > 255:
        return ""
    scaled = array.dtype.kind == "f" and few.max() <= 1
    return f"; make pixels of them: {'(x * 255)' if scaled else 'x'}.round().astype('uint8')"


def _class_indices(file: ArrayFile, suffix: str, labels: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    if labels.dtype.kind == "U":
        index_of = {name: index for index, name in enumerate(classes)}
        unknown = next((name for name in labels.tolist() if name not in index_of), None)
        if unknown is not None:
            raise DataError(f"{file.path}: label {unknown[:80]!r} in y{suffix} is none of the classes")
        return np.array([index_of[name] for name in labels.tolist()], np.int64)
    if len(bad := np.flatnonzero((labels < 0) | (labels >= len(classes)))):
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{suffix} is out of range, "
            f"must be 0 to {len(classes) - 1}"
        )
    return labels.astype(np.int64)
