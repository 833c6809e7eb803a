"""Teachers of a sweep and their targets, prepared once for all settings with equal ones."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdcompress.config.recipe import Recipe
from kdcompress.digests import json_digest
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment, Reporter, Workers
from kdcompress.pipeline.labelling import compute_training_targets, prepare_teachers
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
    _prepared: dict[str, tuple[TeacherEnsemble, Targets | None]] = field(default_factory=dict)

    def prepare(self, recipe: Recipe) -> tuple[TeacherEnsemble, Targets | None]:
        """Open the teachers and compute the targets of a setting, unless another one has the same.

        Args:
            recipe: Recipe of the setting.

        Returns:
            (the teachers, their targets if the method needs any).
        """
        method = recipe.method.bind(self.data.classes)
        wants = method.wants if EMBEDDING in method.wants else method.needs_targets
        key = json_digest([method.for_teacher().model_dump(mode="json"), method.identity, wants])
        if key not in self._prepared:
            experiment = Experiment(recipe, self.data, self.workers)
            ensemble = prepare_teachers(experiment, None, self.reporter)
            needed = method.needs_targets
            targets = compute_training_targets(ensemble, experiment, self.reporter) if needed else None
            self._prepared[key] = ensemble, targets
        return self._prepared[key]

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the targets that have been computed, by a digest of the settings that share them."""
        return {key[:12]: targets.key for key, (_, targets) in self._prepared.items() if targets is not None}
