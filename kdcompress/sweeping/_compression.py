"""Compression of the students of a sweep whose recipe asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.compression import Tuning, compress
from kdcompress.config.recipe import Recipe
from kdcompress.errors import RecipeError
from kdcompress.methods import Method
from kdcompress.models import Forward, load_saved_model, load_weights
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.student import StudentFactory
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import CHECKPOINTS
from kdcompress.teachers import EMBEDDING, Targets
from kdcompress.training.checkpoints import Row
from kdcompress.training.supervision import finalise
from kdcompress.verification.teachers import count_params_and_flops


@dataclass(frozen=True)
class TrialCompression:
    """The compression of one student of a sweep.

    Attributes:
        experiment: The recipe of the trial and its data.
        method: The method that the student was trained with.
        ensemble: The teachers.
        targets: The teacher's outputs; None for a baseline.
        folder: Folder of the trial, for checkpoints.
        progress: Listener.
    """

    experiment: Experiment
    method: Method
    ensemble: TeacherEnsemble
    targets: Targets | None
    folder: Path
    progress: Progress

    def execute(self, model: Any) -> tuple[Any, Row, list[Path]]:
        """Compress the student.

        Args:
            model: The trained student.

        Returns:
            (the compressed model, its metrics on validation, the checkpoints, which may be deleted).

        Raises:
            RecipeError: The recipe has no section `compress`.
        """
        from kdcompress.training.callbacks import Validator

        section = self.experiment.recipe.compress
        if section is None:
            raise RecipeError("the recipe of this trial has no section compress")
        costs = count_params_and_flops(self.ensemble.teachers)
        tuning = Tuning(
            self.experiment, section, self.method, self.targets, costs, self.folder, self.progress,
            ensemble=self.ensemble,
        )  # fmt: skip
        compressed = compress(model, tuning)
        val = self.experiment.data.split.val
        final = Forward(finalise(compressed.model, self.method, tuning.input_shape))
        row = Validator(lambda: final(val.images), val.labels).metrics()
        files = [path for path in self.folder.iterdir() if CHECKPOINTS.files.fullmatch(path.name)]
        return compressed.model, row, files


def check_sweep_start(recipe: Recipe) -> None:
    """Check, before anything is trained, that the students of a sweep are those to compress.

    Args:
        recipe: The recipe of the sweep.

    Raises:
        RecipeError: The section `compress` names another student of a run as its start.
    """
    if recipe.compress is not None and recipe.compress.start != "student":
        raise RecipeError(
            f"compress.start names another student of a run, {recipe.compress.start!r}; a sweep compresses those that "
            "it trains: --set compress.start=student"
        )


def check_trial_method(recipe: Recipe) -> None:
    """Check that the students of a setting can be compressed with the method that they are trained with.

    Args:
        recipe: Recipe of a setting.

    Raises:
        RecipeError: The method has a projector, which compression does not train.
    """
    if recipe.compress is not None and EMBEDDING in recipe.method.wants:
        raise RecipeError(
            f"a sweep compresses with the method that it trains with, and {recipe.method.name} needs the embedding of "
            "the student before it is compressed: leave compress out, or sweep methods that compare outputs"
        )


def open_student(students: StudentFactory, method: Method, role: Method, path: Path) -> Any:
    """Open the student of a trial.

    Args:
        students: Makes the students of its recipe, which may be of a custom class where nothing compresses them.
        method: Method of its recipe.
        role: The method that it was trained with.
        path: Its file.

    Returns:
        The Keras model, ending in class logits.
    """
    if students.experiment.recipe.compress is not None or role.replaces_head:
        return load_saved_model(path)
    final = finalise(students.build(method), role, students.experiment.data.dataset.input_shape)
    load_weights(final, path)
    return final
