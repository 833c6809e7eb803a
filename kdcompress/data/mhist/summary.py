"""What `data check mhist` says beyond counts: how far annotators agreed, subclasses, and the state of the files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.base import Dataset
from kdcompress.data.duplicates import Digests, find_shared_images, format_pairs
from kdcompress.data.index import index_images
from kdcompress.data.mhist.files import MhistFiles
from kdcompress.data.mhist.table import TABLE
from kdcompress.data.mhist.votes import ANNOTATORS, MAJORITY, majority_size
from kdcompress.data.stores import FileImages
from kdcompress.errors import DataError
from kdcompress.progress import Progress


def summary_lines(dataset: Dataset) -> list[str]:
    """One fact a line of a loaded MHIST."""
    files = _files_of(dataset)
    return [
        *_agreements(dataset),
        *_subclasses(dataset),
        f"files: {len(files.names):,}, {files.describe_sizes()}",
        f"colours: {files.describe_conversions() or 'all images are 8-bit RGB'}",
        f"surplus: {files.describe_unlisted() or f'none, {TABLE} names every image'}",
        f"duplicates: {_duplicates(dataset, files)}",
    ]


def pixel_digests(dataset: Dataset, files: MhistFiles) -> tuple[Digests, Digests]:
    """What tells the pixels of train's and of test's images from others."""
    train, test = (
        files.rows["pixels"][np.searchsorted(files.names, part.ids)] for part in (dataset.train, dataset.test)
    )
    return train, test


def check_leakage(dataset: Dataset, digests: tuple[Digests, Digests]) -> None:
    """DataError if test has an image that train has, by name."""
    if pairs := find_shared_images(dataset.train, digests[0], dataset.test, digests[1]):
        verb = "images are" if len(pairs) > 1 else "image is"
        raise DataError(
            f"{len(pairs):,} test {verb} in train, too (train = test: {format_pairs(pairs)}), so figures on test would "
            "be too good: delete one of each pair with its row, or go on all the same with data.allow_duplicates = true"
        )


def _files_of(dataset: Dataset) -> MhistFiles:
    """The files of both parts, sorted by name; nothing is decoded anew."""
    images = [part.images for part in dataset.parts.values()]
    stored = [one for one in images if isinstance(one, FileImages)]
    names = np.sort(np.concatenate([one.names for one in stored]))
    return MhistFiles(stored[0].root, names, index_images(stored[0].root, names, Progress()))


def _agreements(dataset: Dataset) -> list[str]:
    levels = range(MAJORITY, ANNOTATORS + 1)
    found = {name: majority_size(part.votes) for name, part in dataset.parts.items() if part.votes is not None}
    return [f"agreement {level} of {ANNOTATORS}: {_counts(found, level)}" for level in levels]


def _subclasses(dataset: Dataset) -> list[str]:
    names = [name for inside in dataset.subclasses or () for name in inside]
    found = {name: part.subclasses for name, part in dataset.parts.items() if part.subclasses is not None}
    return [f"subclass {name}: {_counts(found, index)}" for index, name in enumerate(names)]


def _counts(found: dict[str, NDArray[np.int64]], value: int) -> str:
    return ", ".join(f"{name} {np.count_nonzero(values == value):,}" for name, values in found.items())


def _duplicates(dataset: Dataset, files: MhistFiles) -> str:
    digests = pixel_digests(dataset, files)
    pairs = find_shared_images(dataset.train, digests[0], dataset.test, digests[1])
    across = f"{len(pairs):,} ({format_pairs(pairs)})" if pairs else "none"
    within = [len(one) - len(np.unique(one)) for one in digests]
    return f"{across} in train and in test, {within[0]:,} within train, {within[1]:,} within test"
