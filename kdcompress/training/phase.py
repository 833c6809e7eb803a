"""The training phase of a model, and the keys of its settings in the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.config.training import Stage, TrainingSection
from kdcompress.errors import ModelError
from kdcompress.methods import Method
from kdcompress.training.projection import Projection, Space, make_projection
from kdcompress.training.stages import first_trainable_layer

FEATURES_FOLDER = "features"  # beside the checkpoint


@dataclass(frozen=True)
class Phase:
    """The training of one model.

    Attributes:
        name: teacher, assistant, student or baseline.
        key: Digest of everything that the training depends on; a checkpoint with another key is refused.
        method: Method whose losses are used.
        training: Settings of the training.
        checkpoint: Path of the checkpoint.
        features: Folder for the outputs of frozen layers, which several trainings may share; beside the checkpoint by
            default.
        space: Space of the teacher's embeddings, for a method that wants them.
        seed: Seed of the initial values of the method's projector.
    """

    name: str
    key: str
    method: Method
    training: TrainingSection
    checkpoint: Path
    features: Path | None = None
    space: Space | None = None
    seed: int = 0

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages together."""
        return self.training.total_epochs

    @property
    def features_folder(self) -> Path:
        """The folder for the outputs of frozen layers."""
        return self.features or self.checkpoint.parent / FEATURES_FOLDER

    @property
    def training_key(self) -> str:
        """The dotted key of the training in the recipe."""
        if self.name.startswith("assistant"):
            return "assistant.training"
        return "teacher.training" if self.name == "teacher" else "training"

    def make_projection(self, student: Any) -> Projection | None:
        """Make the method's projector with its initial values, the same in every call.

        Args:
            student: Keras model, whose embedding is projected.

        Returns:
            The projector; None for a method without one.

        Raises:
            ModelError: The student has no embedding, or the teacher's last layer is needed and not known.
        """
        return make_projection(self.method, self.space, student, self.seed)

    def learning_rate_key(self, stage: Stage) -> str:
        """Return the dotted key of a stage's learning rate in the recipe.

        Args:
            stage: A stage of this training.
        """
        number = f".stages.{self.training.plan.index(stage)}" if self.training.stages else ""
        return f"{self.training_key}{number}.learning_rate"


def check_stages(model: Any, training: TrainingSection, key: str) -> None:
    """Check that a model has the layers that the stages of a training name.

    Args:
        model: The Keras model.
        training: Settings of the training.
        key: Dotted key of the training in the recipe, for messages.

    Raises:
        ModelError: A layer is missing, or the order of the layers is unknown.
    """
    for index, stage in enumerate(training.plan):
        try:
            first_trainable_layer(model, stage.trainable)
        except ModelError as exc:
            raise ModelError(f"{key}.stages.{index}.trainable: {exc}") from exc
