"""The contract of a data set; a subject is a DatasetSource that finds its data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kdcompress.config.choices import make_choice
from kdcompress.data import UNLABELLED, DatasetSource
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.testing._imports import check_light_import

_READ = 5  # images of each part


def check_settings(source: DatasetSource) -> None:
    """Settings survive the way through a recipe."""
    settings = source.to_dict()
    assert make_choice("data", settings).to_dict() == settings, "settings change on their way through a recipe"


def check_import(source: DatasetSource) -> None:
    """The module of the data set imports no heavy library."""
    check_light_import(type(source))


def check_parts(source: DatasetSource) -> None:
    """Images are uint8 (n, H, W, C) of one size, labels whole numbers of classes, ids unique over all parts."""
    dataset = source.load(Progress())
    assert len(dataset.classes) > 1
    assert len(set(dataset.classes)) == len(dataset.classes), "two classes have one name"
    ids: list[str] = []
    for name, part in dataset.parts.items():
        assert len(part), f"{name} is empty"
        assert tuple(part.images.shape) == (len(part), *dataset.input_shape), f"{name} has images {part.images.shape}"
        assert part.labels.shape == part.ids.shape == (len(part),)
        assert part.labels.dtype == np.int64, f"labels of {name} are {part.labels.dtype}"
        known = part.labels[part.labels != UNLABELLED]
        assert known.min() >= 0, f"{name} has a label below 0"
        assert known.max() < len(dataset.classes), f"{name} has a label of no class"
        ids += part.ids.tolist()
    assert len(set(ids)) == len(ids), "two images have one id"
    assert set(np.unique(dataset.train.labels)) >= set(range(len(dataset.classes))), "a class has no training image"


def check_images(source: DatasetSource) -> None:
    """Images are read by a slice and by numbers in any order, the same every time."""
    dataset = source.load(Progress())
    for part in dataset.parts.values():
        n = min(_READ, len(part))
        first = np.asarray(part.images[:n])
        assert first.dtype == np.uint8
        assert first.shape == (n, *dataset.input_shape)
        backwards = np.arange(n)[::-1]
        assert np.array_equal(np.asarray(part.images[backwards]), first[::-1]), "images depend on how they are read"


def check_fingerprint(source: DatasetSource) -> None:
    """Loading twice gives the same data, by their fingerprint and their ids."""
    one, other = source.load(Progress()), source.load(Progress())
    assert one.fingerprint == other.fingerprint
    assert one.train.ids.tolist() == other.train.ids.tolist()
    assert one.name, "a data set has a name"
    assert one.source, "a data set says where it came from"


def check_missing_folder(source: DatasetSource) -> None:
    """A folder that does not exist is refused with its name, of a data set that takes one."""
    if source.dir is None:
        return
    missing = f"{source.dir}-that-is-not-there"
    try:
        source.model_copy(update={"dir": missing}).load(Progress())
    except DataError as exc:
        assert missing in str(exc), f"the error does not name the folder: {exc}"
    else:
        raise AssertionError("a folder that does not exist is taken")


def check_summary(source: DatasetSource) -> None:
    """`data check` has one line for each class."""
    dataset = source.load(Progress())
    lines = source.summary(dataset)
    for name in dataset.classes:
        assert any(f"class {name}" in line for line in lines), f"the summary does not count class {name}"


DATASET_CHECKS: tuple[Callable[[DatasetSource], None], ...] = (
    check_settings,
    check_import,
    check_parts,
    check_images,
    check_fingerprint,
    check_missing_folder,
    check_summary,
)
