"""What `data check mhist` prints beyond counts: agreement of annotators, subclasses and the state of the files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.base import Dataset
from kdcompress.data.duplicates import find_shared_images, format_pairs, image_digests
from kdcompress.data.index import index_images
from kdcompress.data.mhist.files import MhistFiles
from kdcompress.data.mhist.table import TABLE
from kdcompress.data.mhist.votes import ANNOTATORS, MAJORITY, majority_size
from kdcompress.data.stores import FileImages
from kdcompress.errors import DataError
from kdcompress.progress import Progress


def summary_lines(dataset: Dataset) -> list[str]:
    """Describe annotators' agreement, subclasses, files and duplicates.

    Args:
        dataset: A loaded MHIST.

    Returns:
        Lines.
    """
    files = _collect_files(dataset)
    return [
        *_agreement_lines(dataset),
        *_subclass_lines(dataset),
        f"files: {len(files.names):,}, {files.describe_sizes()}",
        f"colours: {files.describe_conversions() or 'all images are 8-bit RGB'}",
        f"surplus: {files.describe_unlisted() or f'none, {TABLE} names every image'}",
        f"duplicates: {_format_duplicates(dataset)}",
    ]


def check_leakage(dataset: Dataset) -> None:
    """Check that no test image is in train.

    Args:
        dataset: The data set.

    Raises:
        DataError: If there is one; names pairs.
    """
    if pairs := find_shared_images(dataset.train, dataset.test):
        verb = "images are" if len(pairs) > 1 else "image is"
        raise DataError(
            f"{len(pairs):,} test {verb} in train, too (train = test: {format_pairs(pairs)}), so figures on test would "
            "be too good: delete one of each pair with its row, or go on all the same with data.allow_duplicates = true"
        )


def _collect_files(dataset: Dataset) -> MhistFiles:
    """Return the indexed files of both parts, sorted by name."""
    images = [part.images for part in dataset.parts.values()]
    stores = [store for store in images if isinstance(store, FileImages)]
    names = np.sort(np.concatenate([store.names for store in stores]))
    return MhistFiles(stores[0].root, names, index_images(stores[0].root, names, Progress()))


def _agreement_lines(dataset: Dataset) -> list[str]:
    levels = range(MAJORITY, ANNOTATORS + 1)
    sizes = {name: majority_size(part.votes) for name, part in dataset.parts.items() if part.votes is not None}
    return [f"agreement {level} of {ANNOTATORS}: {_format_counts(sizes, level)}" for level in levels]


def _subclass_lines(dataset: Dataset) -> list[str]:
    names = [name for subclasses in dataset.subclasses or () for name in subclasses]
    indices = {name: part.subclasses for name, part in dataset.parts.items() if part.subclasses is not None}
    return [f"subclass {name}: {_format_counts(indices, index)}" for index, name in enumerate(names)]


def _format_counts(parts: dict[str, NDArray[np.int64]], value: int) -> str:
    return ", ".join(f"{name} {np.count_nonzero(values == value):,}" for name, values in parts.items())


def _format_duplicates(dataset: Dataset) -> str:
    pairs = find_shared_images(dataset.train, dataset.test)
    across = f"{len(pairs):,} ({format_pairs(pairs)})" if pairs else "none"
    within = [len(part) - len(np.unique(part)) for part in map(image_digests, (dataset.train, dataset.test))]
    return f"{across} in train and in test, {within[0]:,} within train, {within[1]:,} within test"
