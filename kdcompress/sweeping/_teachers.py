"""Teachers of a sweep and their targets, prepared once for all settings with equal ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdcompress.config.recipe import Recipe
from kdcompress.digests import json_digest
from kdcompress.pipeline.assistants import assistant_recipes, compute_student_targets
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment, Reporter, Workers
from kdcompress.pipeline.labelling import compute_training_targets, prepare_teachers
from kdcompress.pipeline.starts import same_start_warnings
from kdcompress.teachers import EMBEDDING, Targets


@dataclass
class SweepTeachers:
    """The teachers of a sweep's settings.

    Attributes:
        data: The data of all settings.
        reporter: Listeners.
        workers: Who shares the labelling; None for this process alone.
    """

    data: RecipeData
    reporter: Reporter
    workers: Workers | None = None
    _opened: dict[str, TeacherEnsemble] = field(default_factory=dict)
    _targets: dict[str, Targets | None] = field(default_factory=dict)

    def check_starts(self, base: Recipe, seeds: tuple[int, ...]) -> None:
        """Warn about students that start from the weights of their teacher.

        Args:
            base: Recipe that the settings vary.
            seeds: Seeds of the students.
        """
        for warning in same_start_warnings(base, seeds):
            self.reporter.warn(warning)

    def prepare(self, recipe: Recipe) -> tuple[TeacherEnsemble, Targets | None]:
        """Open the teachers and compute the targets of a setting, unless another one has the same.

        Args:
            recipe: Recipe of the setting.

        Returns:
            (the teachers; the targets of the student, from the last assistant if the recipe has some, or None if the
            method needs none).
        """
        method, experiment = recipe.method.bind(self.data.classes), Experiment(recipe, self.data, self.workers)
        wants = method.wants if EMBEDDING in method.wants else method.needs_targets
        shared = [method.for_teacher().model_dump(mode="json"), method.identity, wants]
        key = json_digest(shared)
        if key not in self._opened:
            self._opened[key] = prepare_teachers(experiment, None, self.reporter)
        ensemble = self._opened[key]
        if recipe.assistants and method.needs_targets:
            key = json_digest([shared, [assistant.method.to_dict() for assistant in assistant_recipes(recipe)]])
        if key not in self._targets:
            targets = None
            if method.needs_targets:
                targets, _ = compute_student_targets(ensemble, experiment, None, self.reporter)
            self._targets[key] = targets
        return ensemble, self._targets[key]

    def of_teacher(self, recipe: Recipe) -> Targets | None:
        """Return the teacher's own targets, which a compression learns from.

        Args:
            recipe: Recipe of a setting.
        """
        ensemble, targets = self.prepare(recipe)
        if targets is None or not recipe.assistants:
            return targets
        return compute_training_targets(ensemble, Experiment(recipe, self.data, self.workers), self.reporter)

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the targets that have been computed, by a digest of the settings that share them."""
        return {key[:12]: targets.key for key, targets in self._targets.items() if targets is not None}
