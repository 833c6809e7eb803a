"""The whole distillation, step by step: data, teacher, targets, student, baseline, figures.

Each step leaves a whole file that the manifest then vouches for; a step whose file is vouched for is not done again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, Samples, Split
from kdcompress.errors import RunError
from kdcompress.files import write_npz
from kdcompress.methods import Method
from kdcompress.methods.subclass import Subclasses
from kdcompress.metrics.classification import basic_metrics
from kdcompress.metrics.comparison import disagreements
from kdcompress.metrics.finite import check_finite
from kdcompress.models import Forward, lacks_rescaling, load_weights, model_digest, save_model
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.labelling import label_all, prepare_teachers, validate_training_config
from kdcompress.pipeline.opening import read_saved_teachers, save_teachers
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.subclass_outputs import save_subclass_outputs
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import CHECKPOINTS, DISAGREEMENTS, HISTORY, TEST_OUTPUTS, VAL_OUTPUTS
from kdcompress.teachers import Targets
from kdcompress.training.checkpoints import TrainingState, get_values, set_values
from kdcompress.training.fitting import finalise, train_phase, use_determinism
from kdcompress.training.history import History

_SHOWN = 24  # images, for a report that has no data set at hand
Answers = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PipelineResult:
    """The trained models, the targets that were used (None if the teacher was not asked), figures on test by role."""

    ensemble: TeacherEnsemble
    student: Any
    targets: Targets | None
    figures: dict[str, dict[str, float | None]]
    input_shape: tuple[int, int, int]
    warnings: list[str]


class Pipeline:
    """One run of a recipe in a locked run folder."""

    def __init__(self, recipe: Recipe, run: RunFolder, progress: Progress) -> None:
        self.recipe, self.run, self.progress = recipe, run, progress
        self.history = History(run / HISTORY)
        self.warnings: list[str] = []
        self.data = RecipeData(recipe, progress)
        self.students = StudentFactory(recipe, self.data)

    @cached_property
    def method(self) -> Method:
        """The method, bound to the data's classes."""
        return self.recipe.method.bind(self.data.classes)

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        return self.data.dataset

    @property
    def split(self) -> Split:
        """Train, validation and test."""
        return self.data.split

    def execute(self) -> PipelineResult:
        """Do every step that is not done yet and return what came out."""
        self._record_data()
        if self.recipe.deterministic and not use_determinism():
            self.progress.note(
                "TensorFlow ran before in this process: models with BatchNorm may differ in their last bits"
            )
        if self.method.needs_targets and not self.method.weighs_targets(self.recipe.training.total_epochs):
            self._warn("alpha is 0: the teacher's outputs weigh nothing, the student learns from the labels alone")
        student = self._student()  # before the teacher is trained for minutes: a student that does not fit is told now
        if lacks_rescaling(student):
            self._warn(
                f"student {self.recipe.student.model} gets pixels of 0 to 255 and does not scale them: it learns badly "
                "so; put keras.layers.Rescaling(1 / 255) at its start"
            )
        ensemble = self._teaching()
        targets = None
        if self.method.needs_targets:
            targets = label_all(ensemble, self.data, self.recipe, self.progress, self._warn)
        if not read_saved_teachers(self.run):
            save_teachers(ensemble, self.run)  # its labels are sound; nothing later depends on the original
        self._train("student", student, self.method, targets)
        baseline = None
        if self.recipe.baseline and self.method.needs_targets:
            baseline = self._student()
            self._train("baseline", baseline, self.method.for_baseline(), None)
        scores = self._evaluate(ensemble, student, baseline)
        shape = self.dataset.input_shape
        return PipelineResult(ensemble, finalise(student, self.method, shape), targets, scores, shape, self.warnings)

    def clean_up(self) -> None:
        """Delete the checkpoints; only for a run whose result is committed."""
        folder = self.run / CHECKPOINTS
        if folder.is_dir() and not artefacts.CHECKPOINTS.delete(folder):
            folder.rmdir()

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        self.progress.warn(text)

    def _record_data(self) -> None:
        if self.dataset.notice:
            self._warn(self.dataset.notice)
        validate_training_config(self.recipe, self.method, self.data)
        facts = self.data.facts
        self.run.check_data(facts)
        if (limit := self.recipe.split.limit) and limit > len(self.dataset.train):
            self.progress.note(f"limit {limit:,}: there are only {len(self.dataset.train):,} images to train on")
        self.run.check_split(self.split.fingerprint)
        self.run.update_manifest(
            dataset=facts,
            classes=list(self.dataset.classes),
            subclasses=self.dataset.subclasses,
            input_shape=list(self.dataset.input_shape),
            split=self.split.fingerprint,
        )

    def _teaching(self) -> TeacherEnsemble:
        progress, rows = self.progress, self.history.replace
        return prepare_teachers(self.recipe, self.run, self.data, self.method, progress, rows, self._warn)

    def _student(self) -> Any:
        """A student with its initial weights: the same for student and baseline, and after every interruption."""
        model = self.students.build(self.method)
        path = self.run / CHECKPOINTS / "initial.npz"
        initial = TrainingState.load(path, self.recipe.digest)
        if initial is None:
            TrainingState(self.recipe.digest, variables=get_values(model.variables)).save(path)
        else:
            set_values(model.variables, initial.variables)
        return model

    def _train(self, name: str, model: Any, method: Method, targets: Targets | None) -> None:
        """Train `model` in place, or load what was trained and kept before."""
        final = finalise(model, method, self.dataset.input_shape)
        if self.run.has_file(f"{name}.keras"):
            load_weights(final, self.run / f"{name}.keras")  # works for custom classes too, unlike loading the model
            self._check_history(name)
            return
        phase = self.students.make_phase(name, method, model, targets, self.run / CHECKPOINTS / f"{name}.npz")
        feed = self.students.make_feed(method, targets)
        state = train_phase(
            phase, model, feed, self.split.val, self.progress, lambda rows: self.history.replace(name, rows)
        )
        self._keep(final, name, best_epoch=state.best_epoch, history=self.history.digest(name))

    def _check_history(self, name: str) -> None:
        """RunError if the rows of a phase that is done are not those that it wrote."""
        written = self.run.manifest()["files"][f"{name}.keras"].get("history")
        if written is not None and written != self.history.digest(name):
            raise RunError(f"{self.run / HISTORY} has changed since the {name} was trained; --fresh makes the run anew")

    def _keep(self, model: Any, name: str, **facts: Any) -> None:
        save_model(model, self.run / f"{name}.keras")
        self.run.commit(f"{name}.keras", digest=model_digest(model), **facts)

    def _evaluate(self, ensemble: TeacherEnsemble, student: Any, baseline: Any) -> dict[str, dict[str, float | None]]:
        """Figures on test, the one time that test is looked at; logits, and images they differ on, stay."""
        start, test = time.perf_counter(), self.split.test
        models = {"student": Forward(student), **({} if baseline is None else {"baseline": Forward(baseline)})}
        outputs, logits = self._ask(test, ensemble, models)
        if doubt := ensemble.doubt_on_test(logits["teacher"], test.labels, self.dataset.classes):
            self._warn(doubt)
        self._keep_outputs(TEST_OUTPUTS, test, logits)
        # What is chosen later, a threshold, is chosen on validation: neither images nor models are needed for it
        self._keep_outputs(VAL_OUTPUTS, self.split.val, self._ask(self.split.val, ensemble, models)[1])
        differing = disagreements(logits["teacher"], logits["student"], _SHOWN)
        if isinstance(self.method, Subclasses):
            save_subclass_outputs(self.run, test, outputs, logits, self.method.sizes)
        write_npz(self.run / DISAGREEMENTS, {"ids": test.ids[differing], "images": test.images[differing]})
        self.run.commit(DISAGREEMENTS)
        asked = f"test and validation: {len(test) + len(self.split.val):,} images"
        self.progress.note(f"{asked} in {time.perf_counter() - start:.1f} s")
        return {name: basic_metrics(values, test.labels) for name, values in logits.items()}

    def _ask(self, part: Samples, ensemble: TeacherEnsemble, models: dict[str, Forward]) -> tuple[Answers, Answers]:
        """What teacher and `models` say of a part, by role: their outputs, and the class logits these stand for."""
        outputs = {"teacher": ensemble.predict(part), **{role: model(part.images) for role, model in models.items()}}
        for role, values in outputs.items():
            check_finite(values, part.ids, role)
        logits = {"teacher": ensemble.read(outputs["teacher"])}
        for role in models:
            method = self.method if role == "student" else self.method.for_baseline()
            logits[role] = np.asarray(method.class_logits(outputs[role]), np.float32)
        return outputs, logits

    def _keep_outputs(self, name: str, part: Samples, logits: Answers) -> None:
        beside = {key: rows for key in ("groups", "votes") if (rows := getattr(part, key)) is not None}
        answers = {f"{role}_logits": values for role, values in logits.items()}
        write_npz(self.run / name, {"ids": part.ids, "labels": part.labels, **beside, **answers})
        self.run.commit(name)
