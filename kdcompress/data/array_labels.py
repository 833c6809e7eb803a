"""Checks of arrays of labels, and their conversion to class indices."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.npz import ArrayFile, decode_text
from kdcompress.errors import DataError

_MIN_IDS = 10  # labels of training images that are all different are taken for ids from this number on
_TO_NAMES = "if they are numbers of classes all the same, save them as names: y.astype(str)"


def read_labels(file: ArrayFile, suffix: str) -> NDArray[Any]:
    """Read the labels of a part.

    Args:
        file: The file.
        suffix: Suffix of the part's arrays, such as "_train".

    Returns:
        Class numbers or class names, (n,).

    Raises:
        DataError: If they are neither, or none.
    """
    name = f"y{suffix}"
    labels = np.asarray(file[name])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    rule = f"{file.path}: {name} must be (n,) whole numbers from 0 or names, got {labels.dtype} {labels.shape}"
    if labels.ndim != 1 or labels.dtype.kind not in "biufUS":
        raise DataError(f"{rule}{_row_remedy(labels)}")
    if not len(labels):
        remedies = {
            "_val": "; leave it and its images out",
            "_test": "; save x and y alone, to have a part kept for test",
        }
        raise DataError(f"{file.path}: {name} has no labels{remedies.get(suffix, '')}")
    if labels.dtype.kind == "S":
        return decode_text(labels, f"{file.path}: {name}")
    if labels.dtype.kind == "f" and len(bad := np.flatnonzero(labels != np.trunc(labels))):  # NaN is among these
        raise DataError(f"{rule}; label {labels[bad[0]]} of image {bad[0]:,} is no whole number")
    return labels.astype(np.uint8) if labels.dtype.kind == "b" else labels


def _row_remedy(labels: NDArray[Any]) -> str:
    if labels.ndim != 2 or labels.dtype.kind not in "biuf":
        return ""
    if (((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1)).all():
        return "; of one-hot rows take argmax(axis=1)"
    return "; an image has one label, and these rows are not one-hot"


def check_label_range(file: ArrayFile, suffix: str, labels: NDArray[Any], count: int) -> None:
    """Reject labels that are no class numbers before anything is allocated for as many classes.

    Args:
        file: The file, for messages.
        suffix: Suffix of the part.
        labels: Its labels, (n,).
        count: Number of images of all parts. Each class has an image, so class numbers are below it.

    Raises:
        DataError: If a label is negative, or not below `count`.
    """
    if labels.dtype.kind == "U":
        return
    if len(bad := np.flatnonzero(labels >= count)):
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{suffix} is out of range: labels that "
            "are numbers count the classes from 0, each of which has an image, so they are below "
            f"{count:,}, the number of images; are they ids or times? {_TO_NAMES}"
        )
    if len(bad := np.flatnonzero(labels < 0)):
        remedy = _TO_NAMES
        if labels.min() == -1 and labels.max() > 1:
            x, y = f"x{suffix}", f"y{suffix}"
            remedy = f"if -1 marks images without a label, leave them out: {x}, {y} = {x}[{y} >= 0], {y}[{y} >= 0]"
        raise DataError(
            f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{suffix} is out of range: labels that "
            f"are numbers count the classes from 0; {remedy}"
        )


def read_classes(
    file: ArrayFile, labels: list[NDArray[Any]], count: int, names: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Read the class names, or derive them from the labels.

    Args:
        file: The file.
        labels: Labels of all parts, train first; checked by `check_label_range`.
        count: Number of images of all parts.
        names: The setting `data.classes`.

    Returns:
        Names; sorted, if labels are names.

    Raises:
        DataError: If there are fewer than two classes, as many as training images, or the parts disagree.
    """
    if len({part.dtype.kind == "U" for part in labels}) > 1:
        raise DataError(f"{file.path}: labels are numbers in one part and names in another; they must be of one kind")
    if len(labels[0]) >= _MIN_IDS and len(np.unique(labels[0])) == len(labels[0]):
        raise DataError(
            f"{file.path}: each of the {len(labels[0]):,} images to train on has a label of its own, which are no "
            "classes; are they ids, times or file names? Save the classes as y"
        )
    if names is not None:
        if repeated := [name for name, times in Counter(names).items() if times > 1]:
            raise DataError(f"data.classes: two classes have the same name {repeated[0][:80]!r}")
    elif "classes" in file:
        names = _read_class_names(file, count)
    elif labels[0].dtype.kind == "U":
        names = tuple(sorted(set().union(*(np.unique(part).tolist() for part in labels))))
    else:
        names = tuple(str(number) for number in range(max(int(part.max()) for part in labels) + 1))
    if len(names) < 2:
        raise DataError(f"{file.path} holds one class alone; a classifier needs two or more")
    return names


def _read_class_names(file: ArrayFile, count: int) -> tuple[str, ...]:
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


def class_indices(file: ArrayFile, suffix: str, labels: NDArray[Any], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Convert the labels of a part to class indices.

    Args:
        file: The file, for messages.
        suffix: Suffix of the part.
        labels: Its labels, (n,); checked by `check_label_range`.
        classes: Class names.

    Returns:
        Class indices, (n,).

    Raises:
        DataError: If a label is none of the classes, or a class has no image to train on.
    """
    if labels.dtype.kind == "U":
        index_of = {name: index for index, name in enumerate(classes)}
        unknown = next((name for name in labels.tolist() if name not in index_of), None)
        if unknown is not None:
            raise DataError(f"{file.path}: label {unknown[:80]!r} in y{suffix} is none of the classes")
        indices = np.array([index_of[name] for name in labels.tolist()], np.int64)
    else:
        if len(bad := np.flatnonzero(labels >= len(classes))):
            raise DataError(
                f"{file.path}: label {labels[bad[0]]} of image {bad[0]:,} in y{suffix} is out of range, "
                f"must be 0 to {len(classes) - 1}"
            )
        indices = labels.astype(np.int64)
    missing = np.flatnonzero(np.bincount(indices, minlength=len(classes)) == 0)
    if len(missing) and suffix in ("", "_train"):
        has_numbers = labels.dtype.kind != "U" and "classes" not in file
        remedy = f"; labels that are numbers count from 0 without a gap; {_TO_NAMES}" if has_numbers else ""
        raise DataError(f"{file.path}: y{suffix} has no image of class {classes[missing[0]]}{remedy}")
    return indices
