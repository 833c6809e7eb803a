"""Interface of the steps of a compression."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kdcompress.config.compress import CompressSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Samples
from kdcompress.digests import json_digest
from kdcompress.methods import Method
from kdcompress.models import model_digest
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.student import StudentFactory
from kdcompress.progress import Progress
from kdcompress.quantization import Quantization
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import Targets
from kdcompress.training.checkpoints import Row
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import Phase

_ONCE = "values"


@dataclass(frozen=True)
class Compressed:
    """A student on its way through the steps.

    Attributes:
        model: Plain Keras 3 model from pixels of 0 to 255 to outputs (batch, head).
        quantization: Trained integers, if the student has been quantized.
        facts: What each step did, as JSON values by the name of the step.
    """

    model: Any
    quantization: Quantization | None = None
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def after(
        self, step: str, model: Any, facts: dict[str, Any], quantization: Quantization | None = None
    ) -> Compressed:
        """Return the student after a step.

        Args:
            step: Name of the step.
            model: The Keras model after it.
            facts: JSON values that describe what it did.
            quantization: Trained integers.
        """
        return Compressed(model, quantization, {**self.facts, step: facts})


@dataclass(frozen=True)
class Tuning:
    """What the steps of a compression train with: the run's data, method and teacher's targets.

    A killed compression runs all steps again: each is a function of its inputs and the seed, a training that has ended
    is read from its checkpoint, and what cannot be repeated exactly, such as a measured latency, is kept by `once`.

    Attributes:
        experiment: The recipe and its data.
        section: Settings of the compression.
        method: Method whose losses are used, bound to the data's classes.
        targets: The teacher's outputs on the transfer set; None without a teacher.
        teacher_costs: `params` and `flops` of the teacher; None where unknown.
        checkpoints: Folder of checkpoints.
        progress: Listener.
        on_history: Called after each epoch with the name and the history of a training.
        ensemble: The teachers, for measurements.
    """

    experiment: Experiment
    section: CompressSection
    method: Method
    targets: Targets | None
    teacher_costs: dict[str, int | None]
    checkpoints: Path
    progress: Progress
    on_history: Callable[[str, list[Row]], None] = lambda name, rows: None
    ensemble: TeacherEnsemble | None = None

    @property
    def feed(self) -> Feed:
        """Training batches with labels and, with a teacher, targets."""
        return StudentFactory(self.experiment).make_feed(self.method, self.targets)

    @property
    def train_samples(self) -> Samples:
        """The training split."""
        return self.experiment.data.split.train

    @property
    def val(self) -> Samples:
        """The validation split."""
        return self.experiment.data.split.val

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (H, W, C) of an image."""
        return self.experiment.data.dataset.input_shape

    @property
    def seed(self) -> int:
        """Seed of the order of batches."""
        return self.experiment.recipe.seed

    def phase(self, name: str, model: Any, step: type[Step]) -> Phase:
        """Make the training phase of a step.

        Args:
            name: Name of the training, such as channels-1: that of the step, and a number where it has several.
            model: The Keras model with its values before the training.
            step: The step.

        Returns:
            The phase, whose key is a digest of everything that the training depends on.
        """
        recipe = self.experiment.recipe
        training = step.training(self.section, recipe.training)
        key = {
            "recipe": recipe.digest,
            "split": self.experiment.data.split.fingerprint,
            "targets": self.targets and self.targets.key,
            "initial": model_digest(model),
            "training": training.model_dump(mode="json"),
        }
        return Phase(name, json_digest(key), self.method, training, self.checkpoints / f"{name}.npz")

    def train(self, name: str, model: Any, step: type[Step]) -> None:
        """Train a Keras 3 model in place with the teacher, and leave it with the weights of its best epoch.

        Args:
            name: Name of the training, as for `phase`.
            model: Model from pixels to outputs (batch, head).
            step: The step.

        Raises:
            TrainingError: The loss is not finite.
        """
        _seed_random_layers(model, self.seed)
        phase = self.phase(name, model, step)
        train_phase(phase, model, self.feed, self.val, self.progress, lambda rows: self.on_history(name, rows))

    def once(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return JSON values that are computed once, and read when a killed compression goes on; a damaged file is not.

        Args:
            name: Name of the file, as for `phase`.
            compute: Computes the values.
        """
        path = self.checkpoints / f"{name}.json"
        with contextlib.suppress(FileNotFoundError, ValueError):
            kept = read_sealed(path, [_ONCE]).get(_ONCE)
            if isinstance(kept, dict):
                return kept
        values = compute()
        write_sealed(path, {_ONCE: values})
        return values


def _seed_random_layers(model: Any, seed: int) -> None:
    """Set the state of layers such as Dropout, which is drawn anew where a step makes them anew."""
    weights = {id(weight) for weight in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    for index, state in enumerate(state for state in states if state.path.endswith("seed_generator_state")):
        state.assign(np.array([seed, index], np.int64))


class Step(ABC):
    """A step of a compression.

    Attributes:
        name: Its name, which is also its key in the recipe.
        epochs_factor: Epochs of its tuning relative to those of the student's training.
        rate_factor: Its learning rate relative to that of the student's training.
    """

    name: ClassVar[str]
    epochs_factor: ClassVar[float] = 1 / 3
    rate_factor: ClassVar[float] = 1.0

    @classmethod
    def training(cls, section: CompressSection, base: TrainingSection) -> TrainingSection:
        """Return the settings of the tuning: one stage that trains all layers.

        Args:
            section: Settings of the compression.
            base: Settings of the student's training, to which the factors apply where the section leaves epochs or
                learning rate out.
        """
        epochs = section.epochs or max(1, round(base.total_epochs * cls.epochs_factor))
        rate = section.learning_rate or base.plan[-1].learning_rate * cls.rate_factor
        return base.model_copy(update={"stages": (), "epochs": epochs, "learning_rate": rate})

    @classmethod
    @abstractmethod
    def summarize(cls, facts: dict[str, Any]) -> str:
        """Say in a few words what the step did.

        Args:
            facts: What `apply` recorded.
        """

    @abstractmethod
    def apply(self, student: Compressed, tuning: Tuning) -> Compressed:
        """Compress a student, and tune it.

        Args:
            student: The student, whose model is not changed.
            tuning: What it is tuned with.

        Returns:
            The compressed student.

        Raises:
            ModelError: The model cannot be compressed in this way.
            TrainingError: The tuning diverged.
        """
