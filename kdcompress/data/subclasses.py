"""Known subclasses: classes merged into superclasses, or names stored beside the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.settings import format_name
from kdcompress.data.base import Dataset
from kdcompress.data.samples import Samples
from kdcompress.errors import DataError, RecipeError
from kdcompress.registry import did_you_mean

Names = tuple[tuple[str, ...], ...]


def merge_classes(dataset: Dataset, superclasses: Mapping[str, Sequence[str]]) -> Dataset:
    """Merge the classes of a data set into superclasses, of which they become the known subclasses.

    Args:
        dataset: The data set.
        superclasses: Classes by name of the superclass; without any, the data set is unchanged.

    Returns:
        The data set with superclasses as classes.

    Raises:
        RecipeError: If a class is unknown, named twice or not at all, or there is only one superclass.
    """
    if not superclasses:
        return dataset
    listed = [name for names in superclasses.values() for name in names]
    for name in listed:
        if name not in dataset.classes:
            raise RecipeError(
                f"superclasses: the data have no class {name!r}{did_you_mean(name, dataset.classes)}; "
                f"they have {', '.join(dataset.classes)}"
            )
        if listed.count(name) > 1:
            raise RecipeError(f"superclasses: class {name!r} is named twice")
    if missing := [name for name in dataset.classes if name not in listed]:
        raise RecipeError(
            f"superclasses: class {missing[0]!r} is in none of them; name each class of the data once, since no image "
            "is left out unseen"
        )
    if empty := [name for name, names in superclasses.items() if not names]:
        raise RecipeError(f"superclasses.{format_name(empty[0])} must name one class or more, got none")
    if len(superclasses) < 2:
        raise RecipeError("superclasses: there must be two or more")
    subclass_of = np.array([listed.index(name) for name in dataset.classes], np.int64)
    class_of = np.repeat(np.arange(len(superclasses)), [len(names) for names in superclasses.values()])

    def relabel(samples: Samples) -> Samples:
        subclasses = subclass_of[samples.labels]
        votes, soft_labels = (
            _sum_columns(values, class_of[subclass_of]) for values in (samples.votes, samples.soft_labels)
        )
        return replace(
            samples, labels=class_of[subclasses], subclasses=subclasses, votes=votes, soft_labels=soft_labels
        )

    return replace(
        dataset,
        classes=tuple(superclasses),
        train=relabel(dataset.train),
        test=relabel(dataset.test),
        val=relabel(dataset.val) if dataset.val else None,
        subclasses=tuple(tuple(names) for names in superclasses.values()),
    )


def _sum_columns(columns: NDArray[Any] | None, class_of: NDArray[np.int64]) -> NDArray[Any] | None:
    """Sum columns (n, classes) over the classes of each superclass."""
    return None if columns is None else columns @ np.eye(int(class_of.max()) + 1, dtype=columns.dtype)[class_of]


def number_subclasses(
    labels: NDArray[np.int64], named: NDArray[np.str_], classes: tuple[str, ...], where: str
) -> tuple[NDArray[np.int64], Names]:
    """Number subclasses through all classes.

    Args:
        labels: Class indices, (n,).
        named: Name of each sample's subclass, (n,).
        classes: Class names.
        where: The data, for messages.

    Returns:
        Index of each sample's subclass, (n,), and the subclass names by class, sorted.

    Raises:
        DataError: If a subclass is in two classes.
    """
    by_class: list[set[str]] = [set() for _ in classes]
    for label, name in zip(labels.tolist(), named.tolist(), strict=True):
        by_class[label].add(name)
    names = [sorted(subclasses) for subclasses in by_class]
    owner: dict[str, int] = {}
    for index, subclasses in enumerate(names):
        for name in subclasses:
            if name in owner:
                raise DataError(
                    f"{where}: subclass {name!r} is in class {classes[owner[name]]} and in class {classes[index]}; "
                    "a subclass is of one class"
                )
            owner[name] = index
    index_of = {name: index for index, name in enumerate(name for subclasses in names for name in subclasses)}
    indices = np.array([index_of[name] for name in named.tolist()], np.int64)
    return indices, tuple(tuple(subclasses) for subclasses in names)
