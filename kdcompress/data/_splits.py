"""Validation is carved from train, stratified, with a seed of its own; test is never touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.data._base import Dataset, Samples
from kdcompress.errors import DataError
from kdcompress.files import digest_of
from kdcompress.recipe import SplitSection


@dataclass(frozen=True)
class Split:
    """Train and validation (both from the data set's train part) and test, with the key of what was chosen."""

    train: Samples
    val: Samples
    test: Samples
    fingerprint: str


def split_dataset(dataset: Dataset, section: SplitSection) -> Split:
    """Cut a stratified validation part from train, after taking a stratified `limit` of it.

    Errors: DataError when a class would be left without a training or validation image.
    """
    index = np.arange(len(dataset.train))
    if section.limit is not None and section.limit < len(index):
        index = stratified(index, dataset.train.labels, section.limit, section.seed)
    n_val = max(len(dataset.classes), round(len(index) * section.validation_fraction))
    train, val = _stratified(index, dataset.train.labels, len(index) - n_val, section.seed, dataset.classes)
    key = {"data": dataset.fingerprint, "train": dataset.train.ids[train].tolist()}
    key["val"] = dataset.train.ids[val].tolist()
    return Split(dataset.train.take(train), dataset.train.take(val), dataset.test, digest_of(key))


def stratified(index: NDArray[np.int64], labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """`limit` of `index`, each class in its proportion, the largest remainders rounded up."""
    rng = np.random.default_rng(seed)
    names, counts = np.unique(labels[index], return_counts=True)
    share = counts * limit / len(index)
    take = np.floor(share).astype(int)
    take[np.argsort(take - share, kind="stable")[: limit - take.sum()]] += 1
    chosen = [rng.permutation(index[labels[index] == name])[:n] for name, n in zip(names, take, strict=True)]
    return np.sort(np.concatenate(chosen))


def _stratified(
    index: NDArray[np.int64], labels: NDArray[np.int64], n_first: int, seed: int, classes: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from sklearn.model_selection import train_test_split

    n_second = len(index) - n_first
    if min(n_first, n_second) < len(classes):
        raise DataError(
            f"{len(index)} images are too few for {len(classes)} classes in both train and validation; "
            f"take more (--limit) or another split.validation_fraction"
        )
    try:
        first, second = train_test_split(index, train_size=n_first, stratify=labels[index], random_state=seed)
    except ValueError as exc:
        raise DataError(f"train cannot be split with every class on both sides: {exc}") from exc
    # Sorted, so that a sample's place says nothing about the split and disk reads go forward.
    return np.sort(first), np.sort(second)
