"""Assistants: models between teacher and student, each distilled from the one before it and teaching the one behind it.

Mirzadeh et al., "Improved Knowledge Distillation via Teacher Assistant" (AAAI 2020). With the architecture of the
student they are the generations of Furlanello et al., "Born-Again Neural Networks" (ICML 2018).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdcompress.config.assistants import AssistantSection
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection, StudentSection
from kdcompress.data import Samples
from kdcompress.digests import json_digest
from kdcompress.metrics.classification import basic_metrics
from kdcompress.metrics.finite import check_finite
from kdcompress.models import load_weights, model_digest, save_model
from kdcompress.pipeline.ensemble import TeacherEnsemble, role_names
from kdcompress.pipeline.experiment import Experiment, Reporter
from kdcompress.pipeline.labelling import compute_training_targets
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.trained import checkpoint_in, train_into, train_or_load
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import Targets, teacher_of_model

SCHEMA = 1
ASSISTANT = "assistant"


def compute_student_targets(
    ensemble: TeacherEnsemble, experiment: Experiment, run: RunFolder | None, reporter: Reporter
) -> tuple[Targets, tuple[TeacherEnsemble, ...]]:
    """Compute the targets of the student: those of the last assistant, or of the teacher where there is none.

    Args:
        ensemble: The teachers.
        experiment: The recipe and its data.
        run: Run folder, which keeps the trained assistants; None outside a run.
        reporter: Listeners.

    Returns:
        (the targets; the assistants, which are trained first unless the run or the cache has them).
    """
    assistants, source = [], ensemble
    for assistant in _assistants(experiment, reporter):
        source = assistant.open(run) or assistant.train(source, run)
        assistants.append(source)
    experiment = replace(experiment, workers=None) if assistants else experiment
    return compute_training_targets(source, experiment, reporter), tuple(assistants)


@dataclass(frozen=True)
class TestedAssistant:
    """A trained assistant and its metrics on test.

    Attributes:
        name: assistant, or assistant-1, assistant-2, ...
        ensemble: The assistant as a teacher.
        metrics: Its metrics.
    """

    name: str
    ensemble: TeacherEnsemble
    metrics: dict[str, float | None]


def evaluate_assistants(assistants: tuple[TeacherEnsemble, ...], test: Samples) -> tuple[TestedAssistant, ...]:
    """Compute the metrics of trained assistants on test.

    Args:
        assistants: The assistants.
        test: Test samples.

    Raises:
        TrainingError: Outputs are not finite.
    """
    tested = []
    for name, ensemble in zip(role_names(ASSISTANT, len(assistants)), assistants, strict=True):
        outputs = ensemble.predict(test)
        check_finite(outputs, test.ids, name)
        metrics = basic_metrics(ensemble.class_logits(outputs), test.labels)
        tested.append(TestedAssistant(name, ensemble, metrics))
    return tuple(tested)


def build_assistants(experiment: Experiment) -> dict[str, Any]:
    """Build the assistants of a recipe with their initial weights, which checks that they fit before any training.

    Args:
        experiment: The recipe and its data.

    Returns:
        Keras models by name, in their order.

    Raises:
        ModelError: A model does not match the data, or ends in probabilities.
    """
    silent = Reporter(Progress(log=False), lambda text: None)
    return {assistant.name: assistant.build() for assistant in _assistants(experiment, silent)}


def assistant_recipes(recipe: Recipe) -> list[Recipe]:
    """Return, for each assistant, the recipe in which it is the student.

    Args:
        recipe: The recipe.
    """
    return [_recipe_of(recipe, section) for section in recipe.assistants]


def _recipe_of(recipe: Recipe, section: AssistantSection) -> Recipe:
    changes = {
        "student": StudentSection(model=section.model, pretrained=section.pretrained, width=section.width),
        "training": section.training or recipe.training,
        "method": section.method or recipe.method,
        "seed": section.seed,
    }
    return recipe.model_copy(
        update={**changes, "assistant": None, "baseline": False, "compress": None, "cluster": None}
    )


def _assistants(experiment: Experiment, reporter: Reporter) -> list[_Assistant]:
    if not experiment.method.needs_targets:
        return []
    recipe = experiment.recipe
    names = role_names(ASSISTANT, len(recipe.assistants))
    return [_Assistant(*pair, experiment, reporter) for pair in zip(names, assistant_recipes(recipe), strict=True)]


@dataclass(frozen=True)
class _Assistant:
    """One assistant.

    Attributes:
        name: assistant, or assistant-1, assistant-2, ...
        recipe: The recipe in which it is the student.
        experiment: The experiment of the student that it teaches.
        reporter: Listeners.
    """

    name: str
    recipe: Recipe
    experiment: Experiment
    reporter: Reporter

    @property
    def title(self) -> str:
        """Name and model, for notes."""
        return f"{self.name} {self.recipe.student.model}"

    def build(self) -> Any:
        """Build the model with its initial weights."""
        experiment = Experiment(self.recipe, self.experiment.data)
        return StudentFactory(experiment, self.name).build(experiment.method)

    def open(self, run: RunFolder | None) -> TeacherEnsemble | None:
        """Open the trained assistant that a run keeps, or return None if it keeps none."""
        if run is None or not run.has_file(f"{self.name}.keras"):
            return None
        student = self.recipe.student.model_copy(update={"pretrained": "none"})  # its weights are those of the file
        model = replace(self, recipe=self.recipe.model_copy(update={"student": student})).build()
        load_weights(model, run / f"{self.name}.keras")
        return self._teaching(model)

    def train(self, source: TeacherEnsemble, run: RunFolder | None) -> TeacherEnsemble:
        """Train the assistant, or take it from the cache, and put a copy into the run.

        Args:
            source: What it learns from: the teachers, or the assistant before it.
            run: Run folder; None outside a run.
        """
        workers = self.experiment.workers if source.role != ASSISTANT else None
        experiment = Experiment(self.recipe, self.experiment.data, workers)
        source = replace(source, method=experiment.method)  # which says what it wants of its teacher
        targets = compute_training_targets(source, experiment, self.reporter)
        model = self.build()
        key = self._key(experiment, model, targets)

        def load(path: Path) -> Any:
            load_weights(model, path)
            return model

        progress, on_history = self.reporter.progress, functools.partial(self.reporter.on_history, self.name)
        train = functools.partial(self._train, key=key, model=model, targets=targets)
        model = train_or_load(key, self.title, progress, on_history, train, load)
        if run is not None:
            save_model(model, run / f"{self.name}.keras")
            run.commit(f"{self.name}.keras", digest=model_digest(model))
        return self._teaching(model)

    def _train(self, part: Path, key: dict[str, Any], model: Any, targets: Targets) -> None:
        experiment = Experiment(self.recipe, self.experiment.data)
        students, method = StudentFactory(experiment, self.name), experiment.method
        phase = students.make_phase(self.name, method, model, targets, checkpoint_in(part))
        phase = replace(phase, key=json_digest(key))  # a recipe of another name may go on with it
        on_history = functools.partial(self.reporter.on_history, self.name)
        feed, val = students.make_feed(method, targets), experiment.data.split.val
        train_into(part, key, phase, model, feed, val, self.reporter.progress, on_history)

    def _key(self, experiment: Experiment, model: Any, targets: Targets) -> dict[str, Any]:
        """Everything that the trained assistant depends on, as JSON values; the key of its cache entry."""
        recipe, data = self.recipe, experiment.data
        return {
            "schema": SCHEMA,
            "assistant": {
                "initial": model_digest(model),
                "seed": recipe.seed,
                "training": recipe.training.model_dump(mode="json"),
                "method": recipe.method.to_dict(),
                "head": experiment.method.identity,
            },
            "targets": targets.key,
            "split": data.split.fingerprint,
            "unlabelled": data.unlabelled_fingerprint,
            "draws": data.draws,
            "views": recipe.views.identity,
            "deterministic": recipe.deterministic,
        }

    def _teaching(self, model: Any) -> TeacherEnsemble:
        """The trained assistant as a teacher."""
        section = SingleTeacherSection(model=self.recipe.student.model, outputs="logits")
        teacher = teacher_of_model(model, section, self.experiment.spec, self.title)
        recipe, method = self.experiment.recipe, self.experiment.method
        return TeacherEnsemble((teacher,), (section,), recipe, method, ASSISTANT)
