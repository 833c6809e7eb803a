"""Your own images as NumPy arrays: x and y, or x_train, y_train, x_test, y_test, in an npz file or in npy files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from kdcompress.config.fractions import Factor
from kdcompress.config.images import ImageSettings, Resize
from kdcompress.config.sections import ClassNames
from kdcompress.data.array_labels import check_label_range, class_indices, read_classes, read_labels
from kdcompress.data.array_pixels import check_pixels
from kdcompress.data.base import Dataset, DatasetSource, check_data_folder
from kdcompress.data.columns import match_name
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.filesystem import expand_user, is_file
from kdcompress.data.npz import ArrayFile
from kdcompress.data.parts import PARTS
from kdcompress.data.pixels import distorted
from kdcompress.data.resizing import resize_images
from kdcompress.data.samples import Samples
from kdcompress.data.scaled import scale_images
from kdcompress.data.splits import hold_out
from kdcompress.data.stores import Images, MappedImages
from kdcompress.data.subclasses import Names, number_subclasses
from kdcompress.errors import DataError
from kdcompress.progress import Progress

_MAX_LISTED = 200  # characters of the arrays' names in a message
_MAX_NAME, _MAX_NOTED = 80, 20  # characters of an array's name, and names in a note
_ARRAYS = ("x", "y", "ids", "groups", "subclasses")
_OPTIONAL = {"partition": "partition", "group": "groups", "subclass": "subclasses", "ids": "ids"}


class Arrays(DatasetSource):
    """Arrays in an npz file or in a folder of npy files; uncompressed ones are memory-mapped.

    x is (n, H, W) or (n, H, W, C) uint8, y (n,) class indices or names. Optional are `ids`, `groups` and `subclasses`
    (n,), and `classes`, the class names. In divided data, all but `classes` have the suffix of a part (x_train).

    Attributes:
        dir: The file or folder.
        size: H or (H, W) to which images are resized; their own size by default.
        resize: How another aspect ratio is resized: squash (the default), crop or pad.
        scale: Factor from the stored numbers, of any type, to pixels of 0 to 255, such as 255 for images of 0 to 1; by
            default, x must be pixels.
        classes: Class names in the order of the labels' numbers; by default those in the array `classes`.
        test_fraction: Fraction of images held out for test if there is only one part.
        split_seed: Seed of that split.
    """

    dir: str
    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    resize: Resize | None = None
    scale: Factor | None = None
    classes: ClassNames | None = Field(None, min_length=2)
    test_fraction: float = Field(0.2, gt=0, lt=1)
    split_seed: int = Field(0, ge=0, lt=2**32)

    def load(self, progress: Progress) -> Dataset:
        """Map and check the arrays; see `DatasetSource.load`."""
        path = expand_user(self.dir)
        file = ArrayFile(path if is_file(path) else check_data_folder(path), progress)
        suffixes = [f"_{part}" for part in ("train", "val", "test") if f"x_{part}" in file] or [""]
        if suffixes != [""] and not {"_train", "_test"} <= set(suffixes):
            raise DataError(f"{path} must have x_train and x_test, or x alone; it has {', '.join(file.names)}")
        _check_names(file, suffixes)
        _report_unused(file, suffixes, progress)
        labels = {suffix: read_labels(file, suffix) for suffix in suffixes}
        count = sum(map(len, labels.values()))
        for suffix, values in labels.items():
            check_label_range(file, suffix, values, count)
        classes = read_classes(file, list(labels.values()), count, self.classes)
        arrays = {f"x{suffix}": file[f"x{suffix}"] for suffix in suffixes}
        check_pixels(arrays, str(path), {f"x{suffix}": len(values) for suffix, values in labels.items()}, self.scale)
        parts = {suffix: _samples(file, suffix, arrays[f"x{suffix}"], labels[suffix], classes) for suffix in suffixes}
        parts = _scale(parts, self.scale, str(path), progress)
        if self.size is not None:
            parts = _resize(parts, self.size, self.resize, progress)
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
        settings = ImageSettings(resize=self.resize or "squash")
        return replace(dataset, notice=quality_notice(dataset), image_settings=settings, array_scale=self.scale)


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


def _scale(parts: dict[str, Samples], scale: float | None, source: str, progress: Progress) -> dict[str, Samples]:
    images = scale_images([part.images for part in parts.values()], scale, source, progress)
    return {suffix: replace(part, images=scaled) for (suffix, part), scaled in zip(parts.items(), images, strict=True)}


def _check_unique_ids(file: ArrayFile, parts: list[Samples]) -> None:
    ids = np.concatenate([part.ids for part in parts])
    names, counts = np.unique(ids, return_counts=True)
    if counts.max(initial=0) > 1:
        raise DataError(f"{file.path}: id {names[counts.argmax()]} is in two parts; ids must be unique")


def _resize(
    parts: dict[str, Samples], size: int | tuple[int, int], resize: Resize | None, progress: Progress
) -> dict[str, Samples]:
    """Resize all images, and note those that are squashed."""
    height, width = size if isinstance(size, tuple) else (size, size)
    resized = {}
    for suffix, part in parts.items():
        _, old_height, old_width, channels = part.images.shape
        shape = (height, width, channels)
        if resize in (None, "squash") and distorted(np.array([old_height]), np.array([old_width]), shape)[0]:
            progress.note(
                f"the images of x{suffix} have another aspect ratio ({old_height}x{old_width}) than {height}x{width} "
                "and are squashed: data.resize = 'crop' or 'pad' keeps it"
            )
        resized[suffix] = replace(part, images=resize_images(part.images, shape, resize))
    return resized


def _samples(
    file: ArrayFile, suffix: str, array: NDArray[Any], labels: NDArray[Any], classes: tuple[str, ...]
) -> Samples:
    if len(array) != len(labels):
        raise DataError(f"{file.path}: {len(array):,} images in x{suffix}, but {len(labels):,} labels in y{suffix}")
    images, indices = _images(array), class_indices(file, suffix, labels, classes)
    part = suffix.removeprefix("_") or "x"
    ids = file.load_text(f"ids{suffix}", len(labels))
    if ids is None:
        ids = np.char.add(f"{part}/", np.arange(len(labels)).astype(str))
    elif len(np.unique(ids)) < len(ids):
        raise DataError(f"{file.path}: ids{suffix} names an image twice; ids must be unique")
    return Samples(images, indices, ids, file.load_text(f"groups{suffix}", len(labels)))


def _check_names(file: ArrayFile, suffixes: list[str]) -> None:
    """Check that there are images and labels of each part."""
    for name in [f"{array}{suffix}" for suffix in suffixes for array in "yx"]:
        if name not in file:
            existing = ", ".join(file.names)[:_MAX_LISTED] or "none"
            raise DataError(
                f"{file.path} has no array {name!r}; it has {existing}; name images and labels x and y, "
                "or x_train, y_train, x_test and y_test"
            )


def _report_unused(file: ArrayFile, suffixes: list[str], progress: Progress) -> None:
    """Warn about arrays that may be a missing one under another name, and note the others."""
    known = [f"{array}{suffix}" for array in _ARRAYS for suffix in suffixes] + ["classes"]
    unused = []
    for name in [name for name in file.names if name not in known]:
        base, _, part = name.rpartition("_")
        suffix = f"_{part}" if f"_{part}" in suffixes else ""
        absent = {key: f"{array}{suffix}" for key, array in _OPTIONAL.items() if f"{array}{suffix}" not in file}
        if PARTS.get(part.casefold()) == "val" and base in _ARRAYS and f"{base}_val" not in file:
            remedy = f"if it is of the validation part, save it as {base}_val"
        elif (key := match_name(name.removesuffix(suffix), absent)) == "partition":
            remedy = "if it divides the data, save x_train, y_train, x_test and y_test by it instead of x and y"
        elif key:
            remedy = f"if it holds the {_OPTIONAL[key]}, save it as {absent[key]}"
        else:
            unused.append(name[:_MAX_NAME])
            continue
        progress.warn(f"{file.path}: array {name[:_MAX_NAME]!r} is not used; {remedy}")
    if unused:
        more = f" and {len(unused) - _MAX_NOTED} more" if len(unused) > _MAX_NOTED else ""
        word = "arrays" if len(unused) > 1 else "array"
        progress.note(f"{file.path}: not used: {word} {', '.join(unused[:_MAX_NOTED])}{more}")


def _images(array: NDArray[Any]) -> Images:
    if isinstance(array, np.memmap):
        return MappedImages(array)
    return array.reshape(*array.shape[:3], array.shape[3] if array.ndim == 4 else 1)
