"""Stratified and grouped splits of train into train and validation; test is never touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SplitSection
from kdcompress.data.base import Dataset
from kdcompress.data.few_labels import check_labels, counts_in_proportion, draw_per_class, without_labels
from kdcompress.data.samples import Samples
from kdcompress.digests import json_digest
from kdcompress.errors import DataError

Index = NDArray[np.int64]
# Random divisions of groups, of which the one with the best class proportions is used
_DRAWS = 50


@dataclass(frozen=True)
class Split:
    """A data set divided for training.

    Attributes:
        train: Training samples.
        val: Validation samples.
        test: Test samples.
        fingerprint: Digest of the data and of the ids in train and val.
        rest: Training samples whose labels are not used, without them; None if all are used.
        whole: The split with all labels; None if it is this one.
    """

    train: Samples
    val: Samples
    test: Samples
    fingerprint: str
    rest: Samples | None = None
    whole: Split | None = None

    def with_labels(self, which: Literal["kept", "all"]) -> Split:
        """The same split with the labels that are kept, or with those of all images.

        Args:
            which: As `teacher.labels` of the recipe.
        """
        return self.whole or self if which == "all" else self


def split_dataset(dataset: Dataset, section: SplitSection) -> Split:
    """Limit the training part and hold out validation, unless the data set has a validation part.

    Both are stratified; groups stay on one side. If the section says how many labels each class keeps, train and
    validation have the images that keep theirs.

    Args:
        dataset: The data set.
        section: The recipe's section `split`.

    Returns:
        The split.

    Raises:
        DataError: If a class would have no training or validation image, or fewer than are to keep their label.
    """
    split = _divide(dataset, section)
    return split if section.labels_per_class is None else _keep_labels(split, dataset, section)


def _keep_labels(split: Split, dataset: Dataset, section: SplitSection) -> Split:
    n, seed, n_classes, n_train = (
        section.labels_per_class or 0,
        section.labels_seed,
        len(dataset.classes),
        len(split.train),
    )
    check_labels(split.train, n, dataset.classes)
    kept = draw_per_class(split.train, [n] * n_classes, seed)
    counts = counts_in_proportion(split.val, len(kept) / n_train, n_classes)
    val = split.val.take(draw_per_class(split.val, counts, seed))
    train, others = split.train.take(kept), np.setdiff1d(np.arange(n_train), kept)
    rest = without_labels(split.train.take(others)) if len(others) else None
    return Split(train, val, split.test, _fingerprint(dataset, train, val), rest, split)


def _divide(dataset: Dataset, section: SplitSection) -> Split:
    whole = dataset.train
    index = np.arange(len(whole))
    if section.limit is not None and section.limit < len(index):
        index = stratified_subset(index, whole.labels, section.limit, section.seed)
    if dataset.val is not None:
        train, val = whole.take(index), dataset.val
    else:
        first, second = hold_out(whole, index, section.validation_fraction, section.seed, dataset.classes, "validation")
        train, val = whole.take(first), whole.take(second)
    return Split(train, val, dataset.test, _fingerprint(dataset, train, val))


def _fingerprint(dataset: Dataset, train: Samples, val: Samples) -> str:
    return json_digest({"data": dataset.fingerprint, "train": train.ids.tolist(), "val": val.ids.tolist()})


def stratified_subset(index: Index, labels: Index, limit: int, seed: int) -> Index:
    """Draw a stratified subset, with the largest remainders rounded up.

    Args:
        index: Row indices to choose from.
        labels: Labels of all rows.
        limit: Size of the subset.
        seed: Seed.

    Returns:
        Row indices, sorted.
    """
    rng = np.random.default_rng(seed)
    names, counts = np.unique(labels[index], return_counts=True)
    share = counts * limit / len(index)
    take = np.floor(share).astype(int)
    take[np.argsort(take - share, kind="stable")[: limit - take.sum()]] += 1
    chosen = [rng.permutation(index[labels[index] == name])[:n] for name, n in zip(names, take, strict=True)]
    return np.sort(np.concatenate(chosen))


def hold_out(
    samples: Samples, index: Index, fraction: float, seed: int, classes: tuple[str, ...], part: str
) -> tuple[Index, Index]:
    """Hold out a stratified fraction of samples; groups stay on one side.

    Args:
        samples: All samples.
        index: Row indices to divide.
        fraction: Fraction to hold out, in (0, 1).
        seed: Seed.
        classes: Class names.
        part: Name of the held-out part, for messages.

    Returns:
        Remaining and held-out row indices, sorted.

    Raises:
        DataError: If a class would be missing on one side.
    """
    divide = _stratified if samples.groups is None else _grouped
    first, second = divide(samples, index, fraction, seed, classes, part)
    # Sorted, so that files are read sequentially
    return np.sort(first), np.sort(second)


def _stratified(
    samples: Samples, index: Index, fraction: float, seed: int, classes: tuple[str, ...], part: str
) -> tuple[Index, Index]:
    from sklearn.model_selection import train_test_split

    n_second = max(len(classes), round(len(index) * fraction))
    n_first = len(index) - n_second
    if min(n_first, n_second) < len(classes):
        raise DataError(
            f"{len(index)} images are too few for {len(classes)} classes in both train and {part}; "
            f"take more (--limit) or another {_setting_of(part)}"
        )
    labels = samples.labels[index]
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < 2:
        raise DataError(
            f"class {classes[int(counts.argmin())]} has {counts.min()} images; it needs two or more, "
            f"one to train on and one for {part}"
        )
    first, second = train_test_split(index, train_size=n_first, stratify=labels, random_state=seed)
    return first, second


def _grouped(
    samples: Samples, index: Index, fraction: float, seed: int, classes: tuple[str, ...], part: str
) -> tuple[Index, Index]:
    """Divide whole groups at random several times; choose the division with the best class proportions."""
    from sklearn.model_selection import GroupShuffleSplit

    assert samples.groups is not None
    labels = samples.labels[index]
    _, groups = np.unique(samples.groups[index], return_inverse=True)
    if groups.max() == 0:
        raise DataError(f"all images are of one group, which cannot be on both sides of train and {part}")
    target = np.bincount(labels, minlength=len(classes)) * fraction
    n_second = min(int(groups.max()), max(1, round((groups.max() + 1) * fraction)))
    draws = GroupShuffleSplit(_DRAWS, test_size=n_second, random_state=seed).split(index, labels, groups)

    def distance(draw: tuple[Index, Index]) -> float:
        counts = [np.bincount(labels[side], minlength=len(classes)) for side in draw]
        missing = sum(int(np.sum(count == 0)) for count in counts)
        return float(missing * len(index) + np.abs(counts[1] - target).sum())

    first, second = min(draws, key=distance)
    for side, name in ((first, "train"), (second, part)):
        if absent := sorted(set(range(len(classes))) - set(labels[side].tolist())):
            raise DataError(
                f"no way was found to put whole groups on both sides with every class: class {classes[absent[0]]} is "
                f"missing in {name}; take another {_setting_of(part)}, or look at what makes a group"
            )
    return index[first], index[second]


def _setting_of(part: str) -> str:
    return "split.validation_fraction" if part == "validation" else "data.test_fraction"
