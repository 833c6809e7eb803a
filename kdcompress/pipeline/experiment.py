"""A recipe together with its data, and the listeners of the work on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from kdcompress.config.recipe import Recipe
from kdcompress.methods import Method
from kdcompress.pipeline.data import RecipeData
from kdcompress.progress import Progress
from kdcompress.teachers import OutputSpec
from kdcompress.training.checkpoints import Row


@dataclass(frozen=True)
class Experiment:
    """A recipe with its data, which trials of a sweep share.

    Attributes:
        recipe: The recipe.
        data: Data of this recipe, or of another with the same data.
    """

    recipe: Recipe
    data: RecipeData

    @cached_property
    def method(self) -> Method:
        """The method, bound to the data's classes."""
        return self.recipe.method.bind(self.data.classes)

    @property
    def spec(self) -> OutputSpec:
        """The images and outputs that are required of a teacher."""
        dataset = self.data.dataset
        return OutputSpec(dataset.input_shape, dataset.classes, self.method.head(self.data.classes))


def _ignore(name: str, rows: list[Row]) -> None:
    pass


@dataclass(frozen=True)
class Reporter:
    """Where work on an experiment reports to.

    Attributes:
        progress: Listener of notes, phases and steps.
        warn: Called with each warning.
        on_history: Called with the name and the history, one row per epoch, of each teacher that is trained.
    """

    progress: Progress
    warn: Callable[[str], None]
    on_history: Callable[[str, list[Row]], None] = _ignore
