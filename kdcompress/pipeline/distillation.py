"""The steps of a run: data, teachers, targets, student, baseline, evaluation.

Each step writes its files atomically and records them in the manifest; a step whose files are recorded is skipped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, Split
from kdcompress.errors import RunError
from kdcompress.methods import Method
from kdcompress.metrics.classification import Labels
from kdcompress.models import Forward, lacks_rescaling, load_weights, model_digest, save_model
from kdcompress.pipeline.assistants import (
    TestedAssistant,
    build_assistants,
    compute_student_targets,
    evaluate_assistants,
)
from kdcompress.pipeline.chance import chance_warning, count_steps, imbalance_warning
from kdcompress.pipeline.data import RecipeData, describe_labels
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.evaluation import Evaluation, Outputs
from kdcompress.pipeline.experiment import Experiment, Reporter, Workers
from kdcompress.pipeline.labelling import prepare_teachers
from kdcompress.pipeline.saved_teachers import read_saved_teachers, save_teachers
from kdcompress.pipeline.starts import same_start_warnings
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.validation import check_compression_start, validate_training_config
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import CHECKPOINTS, HISTORY
from kdcompress.teachers import Targets
from kdcompress.training.checkpoints import TrainingState, get_values, set_values
from kdcompress.training.fitting import use_determinism
from kdcompress.training.history import History
from kdcompress.training.projection import Pair
from kdcompress.training.supervision import finalise


@dataclass(frozen=True)
class PipelineResult:
    """Result of a run.

    Attributes:
        ensemble: The teachers.
        student: The trained Keras model, ending in class logits.
        targets: Targets of the student; None if the method needs no teacher.
        metrics: Metrics on test by role.
        at_chance: Roles that are not shown to be better than a constant answer.
        input_shape: Shape (H, W, C) of the data's images.
        warnings: All warnings.
        assistants: The models between teacher and student.
    """

    ensemble: TeacherEnsemble
    student: Any
    targets: Targets | None
    metrics: dict[str, dict[str, float | None]]
    at_chance: list[str]
    input_shape: tuple[int, int, int]
    warnings: list[str]
    assistants: tuple[TestedAssistant, ...] = ()


class Pipeline:
    """A run of a recipe.

    Args:
        recipe: The recipe.
        run: Run folder, which the caller has locked.
        progress: Listener.
        workers: Who shares the work; None for this process alone.
    """

    def __init__(self, recipe: Recipe, run: RunFolder, progress: Progress, workers: Workers | None = None) -> None:
        self.recipe, self.run, self.progress = recipe, run, progress
        self.history = History(run / HISTORY)
        self.warnings: list[str] = []
        self.at_chance: list[str] = []
        self.data = RecipeData(recipe, progress)
        self.experiment = Experiment(recipe, self.data, workers)
        self.students = StudentFactory(self.experiment)
        self._reporter = Reporter(progress, self._warn, self.history.replace)

    @property
    def method(self) -> Method:
        """The method, bound to the data's classes."""
        return self.experiment.method

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.data.dataset

    @property
    def split(self) -> Split:
        """Train, validation and test."""
        return self.data.split

    def execute(self) -> PipelineResult:
        """Execute all steps that have not been completed by an earlier call."""
        check_compression_start(self.recipe)
        self._record_data()
        self._use_determinism()
        if self.method.needs_targets and not self.method.weighs_targets(self.recipe.training.total_epochs):
            self._warn("alpha is 0: the teacher's outputs weigh nothing, the student learns from the labels alone")
        if self.method.note:
            self.progress.note(self.method.note)
        student = self._build_student()  # before a teacher is trained: a student that does not match fails early
        if lacks_rescaling(student):
            self._warn(
                f"student {self.recipe.student.model} gets pixels of 0 to 255 and does not scale them: it learns badly "
                "so; put keras.layers.Rescaling(1 / 255) at its start"
            )
        build_assistants(self.experiment)
        for warning in same_start_warnings(self.recipe, (self.recipe.seed,)):
            self._warn(warning)
        ensemble = prepare_teachers(self.experiment, self.run, self._reporter)
        targets: Targets | None = None
        assistants: tuple[TeacherEnsemble, ...] = ()
        if self.method.needs_targets:
            targets, assistants = compute_student_targets(ensemble, self.experiment, self.run, self._reporter)
        if not read_saved_teachers(self.run):
            save_teachers(ensemble, self.run)  # its targets are checked; nothing later depends on the original
        student = self._train("student", student, self.method, targets)
        baseline = None
        if self.recipe.baseline and self.method.needs_targets:
            baseline = self._build_student()
            baseline = self._train("baseline", baseline, self.method.for_baseline(), None)
        metrics = self._evaluate(ensemble, student, baseline)
        shape = self.dataset.input_shape
        final = finalise(student, self.method, shape)
        tested = evaluate_assistants(assistants, self.split.test)
        return PipelineResult(ensemble, final, targets, metrics, self.at_chance, shape, self.warnings, tested)

    def clean_up(self) -> None:
        """Delete the checkpoints of a run whose result has been written."""
        folder = self.run / CHECKPOINTS
        if folder.is_dir() and not artefacts.CHECKPOINTS.delete(folder):
            folder.rmdir()

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.progress.warn(text)

    def _use_determinism(self) -> None:
        if self.recipe.deterministic and not use_determinism():
            self.progress.note(
                "TensorFlow ran before in this process: models with BatchNorm may differ in their last bits"
            )

    def _record_data(self) -> None:
        """Check that the data are those that the run began with, and record them."""
        if self.dataset.notice:
            self._warn(self.dataset.notice)
        validate_training_config(self.experiment)
        labels, classes = self.split.train.labels, list(self.dataset.classes)
        if warning := imbalance_warning(labels, classes, self.recipe.training):
            self._warn(warning)
        facts = self.data.facts
        self.run.check_data(facts)
        if (limit := self.recipe.split.limit) and limit > len(self.dataset.train):
            self.progress.note(f"limit {limit:,}: there are only {len(self.dataset.train):,} images to train on")
        if self.recipe.split.labels_per_class is not None:
            self.progress.note(describe_labels(self.data))
        self.run.check_split(self.split.fingerprint)
        self.run.update_manifest(
            dataset=facts,
            classes=list(self.dataset.classes),
            subclasses=self.dataset.subclasses,
            input_shape=list(self.dataset.input_shape),
            split=self.split.fingerprint,
            **self.dataset.image_settings.record,
        )

    def _build_student(self) -> Any:
        """A student with its initial weights, the same for student and baseline, and after every interruption."""
        with self.experiment.building():
            model = self.students.build(self.method)
        path = self.run / CHECKPOINTS / "initial.npz"
        initial = TrainingState.load(path, self.recipe.digest)
        if initial is None:
            TrainingState(self.recipe.digest, variables=get_values(model.variables)).save(path)
        else:
            set_values(model.variables, initial.variables)
        return model

    def _train(self, name: str, model: Any, method: Method, targets: Targets | None) -> Any:
        """Train a model in place, or load its weights if it has been trained before; return it with its last head."""
        checkpoint = self.run / CHECKPOINTS / f"{name}.npz"
        phase = self.students.make_phase(name, method, model, targets, checkpoint)
        projection = phase.make_projection(model)
        final = finalise(model, method, self.dataset.input_shape, projection)
        trained = final if method.replaces_head else model
        if self.run.has_file(f"{name}.keras"):
            load_weights(final, self.run / f"{name}.keras")  # unlike loading the model, this supports custom classes
            self._check_history(name)
            return trained
        feed = self.students.make_feed(method, targets)
        train, val = self.experiment.trainer, self.split.val
        state = train(phase, model, feed, val, self.progress, lambda rows: self.history.replace(name, rows))
        if projection is not None:
            set_values(Pair(model, projection).variables, state.best)
        save_model(final, self.run / f"{name}.keras")
        self.run.commit(
            f"{name}.keras",
            digest=model_digest(final),
            best_epoch=state.best_epoch,
            history=self.history.digest(name),
        )
        return trained

    def _check_history(self, name: str) -> None:
        """Raise RunError if the history of a completed phase has changed."""
        recorded = self.run.manifest()["files"][f"{name}.keras"].get("history")
        if recorded is not None and recorded != self.history.digest(name):
            raise RunError(f"{self.run / HISTORY} has changed since the {name} was trained; --fresh makes the run anew")

    def _check_chance(self, models: Mapping[str, Any], logits: Outputs, labels: Labels) -> None:
        """Warn about models that learned nothing."""
        training = self.recipe.training
        steps = count_steps(training, self.data.draws)
        for role in (role for role in models if role in logits):
            if warning := chance_warning(role, models[role], logits[role], labels, training, steps):
                self.at_chance.append(role)
                self._warn(warning)

    def _evaluate(self, ensemble: TeacherEnsemble, student: Any, baseline: Any) -> dict[str, dict[str, float | None]]:
        start, val, test = time.perf_counter(), self.split.val, self.split.test
        models = {"student": Forward(student), **({} if baseline is None else {"baseline": Forward(baseline)})}
        logits, metrics = Evaluation(self.run, ensemble, models, self.method).evaluate(val, test)
        if warning := ensemble.check_on_test(logits["teacher"], test.labels, self.dataset.classes):
            self._warn(warning)
        self._check_chance({"student": student, "baseline": baseline}, logits, test.labels)
        seconds = time.perf_counter() - start
        self.progress.note(f"test and validation: {len(test) + len(val):,} images in {seconds:.1f} s")
        return metrics
