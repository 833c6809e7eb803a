"""What a run learns from: its data set, the split of it, and further images without labels."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, Samples, Split, load_data, load_unlabelled, split_dataset
from kdcompress.methods import Classes
from kdcompress.progress import Progress


class RecipeData:
    """Everything is loaded when it is first asked for."""

    def __init__(self, recipe: Recipe, progress: Progress) -> None:
        self.recipe, self._progress = recipe, progress
        self._noted: set[str] = set()

    def note_once(self, text: str) -> None:
        """Say something that comes up again with every student, but once."""
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
        """The images without labels, if the recipe names some."""
        section = self.recipe.unlabelled
        return load_unlabelled(section, self.dataset, self._progress) if section else None

    @cached_property
    def unlabelled_fingerprint(self) -> str:
        """SHA-256 over the images without labels."""
        return self.unlabelled.digest() if self.unlabelled else ""

    @cached_property
    def transfer(self) -> Samples:
        """What the student is distilled on: train, and behind it the images without labels."""
        return self.split.train.join(self.unlabelled) if self.unlabelled else self.split.train

    @property
    def classes(self) -> Classes:
        """What is learned."""
        finer = self.dataset.subclasses
        return Classes(len(self.dataset.classes), tuple(len(names) for names in finer) if finer else None)

    @property
    def facts(self) -> dict[str, Any]:
        """What a run remembers of it: name, source, fingerprint and sizes."""
        split, more = self.split, {}
        if self.unlabelled is not None:
            more = {"n_unlabelled": len(self.unlabelled), "unlabelled_fingerprint": self.unlabelled_fingerprint}
        sizes = {"n_train": len(split.train), "n_val": len(split.val), "n_test": len(split.test)}
        return {**self.dataset.facts, **sizes, **more}
