"""Classes within classes: merged from those of the data, or told beside the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.base import Dataset
from kdcompress.data.samples import Samples
from kdcompress.errors import DataError, RecipeError
from kdcompress.registry import suggestion

Names = tuple[tuple[str, ...], ...]


def merge_classes(dataset: Dataset, superclasses: Mapping[str, Sequence[str]]) -> Dataset:
    """The data set with its classes merged into `superclasses` (name -> classes); they become known subclasses.

    Without superclasses it stays as it is. Errors: RecipeError for a class that is named twice, not at all, or unknown.
    """
    if not superclasses:
        return dataset
    listed = [name for names in superclasses.values() for name in names]
    for name in listed:
        if name not in dataset.classes:
            raise RecipeError(
                f"superclasses: the data have no class {name!r}{suggestion(name, dataset.classes)}; "
                f"they have {', '.join(dataset.classes)}"
            )
        if listed.count(name) > 1:
            raise RecipeError(f"superclasses: class {name!r} is named twice")
    if missing := [name for name in dataset.classes if name not in listed]:
        raise RecipeError(f"superclasses: class {missing[0]!r} is in none of them")
    if len(superclasses) < 2:
        raise RecipeError("superclasses: there must be two or more")
    place = np.array([listed.index(name) for name in dataset.classes], np.int64)
    owner = np.repeat(np.arange(len(superclasses)), [len(names) for names in superclasses.values()])

    def change(samples: Samples) -> Samples:
        subclasses = place[samples.labels]
        votes, soft_labels = (_summed(one, owner[place]) for one in (samples.votes, samples.soft_labels))
        return replace(samples, labels=owner[subclasses], subclasses=subclasses, votes=votes, soft_labels=soft_labels)

    return replace(
        dataset,
        classes=tuple(superclasses),
        train=change(dataset.train),
        test=change(dataset.test),
        val=change(dataset.val) if dataset.val else None,
        subclasses=tuple(tuple(names) for names in superclasses.values()),
    )


def _summed(columns: NDArray[Any] | None, owner: NDArray[np.int64]) -> NDArray[Any] | None:
    """Columns (n, classes) summed over the classes of each superclass; `owner` is that of each class."""
    return None if columns is None else columns @ np.eye(int(owner.max()) + 1, dtype=columns.dtype)[owner]


def number_subclasses(
    labels: NDArray[np.int64], fine: NDArray[np.str_], classes: tuple[str, ...], where: str
) -> tuple[NDArray[np.int64], Names]:
    """The number of each sample's subclass, counted through all classes, and the names of the subclasses by class.

    Errors: DataError for a subclass that is in two classes.
    """
    found: list[set[str]] = [set() for _ in classes]
    for label, name in zip(labels.tolist(), fine.tolist(), strict=True):
        found[label].add(name)
    names = [sorted(inside) for inside in found]
    owner: dict[str, int] = {}
    for index, inside in enumerate(names):
        for name in inside:
            if name in owner:
                raise DataError(
                    f"{where}: subclass {name!r} is in class {classes[owner[name]]} and in class {classes[index]}; "
                    "a subclass is of one class"
                )
            owner[name] = index
    number = {name: place for place, name in enumerate(name for inside in names for name in inside)}
    return np.array([number[name] for name in fine.tolist()], np.int64), tuple(tuple(inside) for inside in names)
