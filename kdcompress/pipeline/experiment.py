"""A recipe together with its data, and the listeners of the work on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.methods import Method
from kdcompress.pipeline.data import RecipeData
from kdcompress.progress import Progress
from kdcompress.teachers import ONE_PROCESS, Labeller, OutputSpec
from kdcompress.training.checkpoints import Row
from kdcompress.training.fitting import Trainer, train_phase

if TYPE_CHECKING:
    from kdcompress.training.replicas import ReplicaTrainer


class Workers(ABC):
    """Processes that share the work on experiments."""

    @abstractmethod
    def labeller(self, section: SingleTeacherSection, spec: OutputSpec, deterministic: bool) -> Labeller:
        """Return what has a teacher's targets computed by the workers.

        Args:
            section: Settings of the teacher.
            spec: Images and outputs that are required of it.
            deterministic: Whether TensorFlow is made to give the same bits in every run.
        """

    @abstractmethod
    def trainer(self, experiment: Experiment) -> Trainer:
        """Return what trains students: the workers together, if the recipe says so.

        Args:
            experiment: The recipe and its data.
        """


@dataclass(frozen=True)
class Experiment:
    """A recipe with its data, which trials of a sweep share.

    Attributes:
        recipe: The recipe.
        data: Data of this recipe, or of another with the same data.
        workers: Who shares the work; None for this process alone.
    """

    recipe: Recipe
    data: RecipeData
    workers: Workers | None = None

    @cached_property
    def method(self) -> Method:
        """The method, bound to the data's classes."""
        return self.recipe.method.bind(self.data.classes)

    @property
    def spec(self) -> OutputSpec:
        """The images and outputs that are required of a teacher."""
        dataset = self.data.dataset
        merged = bool(self.recipe.superclasses)
        return OutputSpec(dataset.input_shape, dataset.classes, self.method.head(self.data.classes), merged)

    def labeller(self, section: SingleTeacherSection) -> Labeller:
        """Return who computes the targets of a teacher.

        Args:
            section: Settings of the teacher.
        """
        if self.workers is None:
            return ONE_PROCESS
        return self.workers.labeller(section, self.spec, self.recipe.deterministic)

    @cached_property
    def replicas(self) -> ReplicaTrainer | None:
        """The GPUs of this machine that train together; None for one device, or the workers of a cluster."""
        section = self.recipe.cluster
        if section is None or section.is_used or section.train_workers == 1:
            return None
        from kdcompress.training.replicas import ReplicaTrainer

        return ReplicaTrainer(section.train_workers)

    @property
    def trainer(self) -> Trainer:
        """What trains the student and the baseline."""
        if self.workers is not None:
            return self.workers.trainer(self)
        return self.replicas or train_phase

    def building(self) -> AbstractContextManager[Any]:
        """Return the context manager in which a model for `trainer` is built."""
        return self.replicas.scope() if self.replicas else nullcontext()


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
