"""The data of a recipe: data set, split, and images without labels, loaded on first access."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, Samples, Split, load_data, load_unlabelled, split_dataset
from kdcompress.methods import Classes
from kdcompress.progress import Progress


def describe_labels(data: RecipeData) -> str:
    """State how many labels are used, and what becomes of the other training images.

    Args:
        data: The data of a recipe with `split.labels_per_class`.

    Returns:
        One line.
    """
    split, section = data.split, data.recipe.split
    rest = 0 if split.rest is None else len(split.rest)
    fate = "have none" if section.rest == "unlabelled" else "are left out"
    return (
        f"labels: {len(split.train):,} to train on, {section.labels_per_class:,} of each class, and {len(split.val):,} "
        f"to choose epochs by; {rest:,} further images {fate}"
    )


class RecipeData:
    """The data of a recipe, each part loaded on first access.

    Args:
        recipe: The recipe.
        progress: Listener.
    """

    def __init__(self, recipe: Recipe, progress: Progress) -> None:
        self.recipe, self._progress = recipe, progress
        self._noted: set[str] = set()

    def note_once(self, text: str) -> None:
        """Report a note that recurs with every student only the first time.

        Args:
            text: The note.
        """
        if text not in self._noted:
            self._noted.add(text)
            self._progress.note(text)

    @cached_property
    def dataset(self) -> Dataset:
        """The data set."""
        return load_data(self.recipe, self._progress)

    @cached_property
    def split(self) -> Split:
        """Train, validation and test."""
        return split_dataset(self.dataset, self.recipe.split)

    @cached_property
    def unlabelled(self) -> Samples | None:
        """The images without labels: those of train that lost theirs, followed by those that the recipe names."""
        section = self.recipe.unlabelled
        rest = self.split.rest if self.recipe.split.rest == "unlabelled" else None
        further = load_unlabelled(section, self.dataset, self._progress) if section else None
        return rest.join(further) if rest and further else rest or further

    @cached_property
    def unlabelled_fingerprint(self) -> str:
        """SHA-256 over the images without labels; empty if there are none."""
        return self.unlabelled.digest() if self.unlabelled else ""

    @cached_property
    def transfer(self) -> Samples:
        """The transfer set, on which the student is distilled: train, followed by the images without labels."""
        return self.split.train.join(self.unlabelled) if self.unlabelled else self.split.train

    @property
    def draws(self) -> int:
        """Number of images in an epoch of the student: the transfer set, and as many more as are left out of it."""
        left_out = self.split.rest if self.recipe.split.rest == "left out" else None
        return len(self.transfer) + (len(left_out) if left_out else 0)

    @property
    def classes(self) -> Classes:
        """The classes and, where the data have them, their subclasses."""
        subclasses = self.dataset.subclasses
        return Classes(len(self.dataset.classes), tuple(len(names) for names in subclasses) if subclasses else None)

    @property
    def facts(self) -> dict[str, Any]:
        """The description of the data in a run's manifest: name, source, fingerprints and sizes."""
        split, unlabelled = self.split, {}
        if self.unlabelled is not None:
            unlabelled = {"n_unlabelled": len(self.unlabelled), "unlabelled_fingerprint": self.unlabelled_fingerprint}
        sizes = {"n_train": len(split.train), "n_val": len(split.val), "n_test": len(split.test)}
        return {**self.dataset.facts, **sizes, **unlabelled}
