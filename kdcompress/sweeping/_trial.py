"""Training of the students of a sweep, their evaluation on validation, and on test for the chosen setting."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.digests import json_digest
from kdcompress.errors import TrainingError
from kdcompress.methods import Method
from kdcompress.metrics.classification import METRIC_NAMES, primary_metric
from kdcompress.models import Forward, digest_of_model_file, save_model
from kdcompress.pipeline.assistants import build_assistants
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment, Reporter, Workers
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.validation import check_auc_available
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.runs.students import BASELINE
from kdcompress.sweeping._compression import TrialCompression, check_trial_method, open_student
from kdcompress.sweeping._events import Quiet, Trial
from kdcompress.sweeping._measuring import metric_on_test
from kdcompress.sweeping._results import STUDENT, delete_result, load_result, save_result
from kdcompress.sweeping._space import Setting
from kdcompress.sweeping._teachers import SweepTeachers
from kdcompress.training.features import delete_features
from kdcompress.training.fitting import train_phase, trained_model
from kdcompress.training.phase import FEATURES_FOLDER
from kdcompress.training.supervision import finalise


@dataclass
class Worker:
    """Trains the students of a sweep; data, teachers and targets are loaded once for all settings.

    Attributes:
        base: Recipe that the settings vary.
        folder: Folder of the sweep.
        progress: Receives notes and warnings.
        workers: Who shares the labelling; None for this process alone.
        terse: Whether loading is not reported, since the parent process has reported it.
        warnings: Warnings so far.
        data: The data.
        teachers: The teachers.
    """

    base: Recipe
    folder: Path
    progress: Progress
    workers: Workers | None = None
    terse: bool = False
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loading = Quiet(self.progress) if self.terse else self.progress
        self.data = RecipeData(self.base, self._loading)
        self._fingerprint: str | None = None
        self._next_collection = 0.0
        self.teachers = SweepTeachers(self.data, Reporter(self._loading, self._warn), self.workers)

    @property
    def fingerprint(self) -> str:
        """Digest of what all students share besides their settings: the data, and the models in files."""
        if self._fingerprint is None:
            files = [digest_of_model_file(local_path(file)) for file in self.base.files.values()]
            data = self.data
            self._fingerprint = json_digest([data.split.fingerprint, data.unlabelled_fingerprint, files])
        return self._fingerprint

    @property
    def metric(self) -> str:
        """Metric by which settings are compared: AUC for two classes, else accuracy."""
        return primary_metric(len(self.data.dataset.classes))

    def prepare(self, settings: list[Setting]) -> None:
        """Train the teachers and compute the targets, before several processes would wait for each other's cache.

        Args:
            settings: Settings of the sweep.

        Raises:
            KDCompressError: A setting does not fit the student, or a teacher cannot be opened or trained.
        """
        if self.metric == "auc":
            check_auc_available(self.data, "a sweep's metric, the AUC,")
        if notice := self.data.dataset.notice:
            self._warn(notice)
        fitting = set()
        for setting in settings:
            recipe = setting.recipe(self.base, self.base.seed)
            check_trial_method(recipe)
            if setting.method not in fitting:
                self._students(recipe).build(self._method(recipe))  # raises early for a student that does not fit
                build_assistants(Experiment(recipe, self.data))
            fitting.add(setting.method)
            self.teachers.prepare(recipe)

    def train(self, setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
        """Train the students of a setting that have not been trained yet.

        Args:
            setting: Setting.
            seeds: Seeds.

        Returns:
            A row for each seed: the setting, `seed`, `val`, `val_loss`, `best_epoch`, `seconds` and `reason`. If a
            training failed, `reason` says why and `val` is None.
        """
        rows = []
        for seed in seeds:
            row = self._row(setting, seed)
            rows.append(row)
            self._collect()
            if row.pop("known"):
                continue  # reported by a process that was killed before it could update the study
            outcome = row["reason"] or f"validation {METRIC_NAMES[self.metric]} {100 * row['val']:.2f} %"
            self.progress.note(f"{setting}, seed {seed}: {outcome}  ({row['seconds']:.1f} s)")
        return rows

    def _collect(self) -> None:
        """Free the models of ended trials, which have reference cycles, in at most a twentieth of the time."""
        start = time.perf_counter()
        if start >= self._next_collection:
            gc.collect()  # traverses all objects
            self._next_collection = start + 20 * (time.perf_counter() - start)

    def test(self, setting: Setting, seed: int, role: str) -> float:
        """Compute the test metric of a model, which is trained if necessary.

        Args:
            setting: Setting.
            seed: Seed.
            role: student, baseline (the student trained without the teacher), or teacher.

        Returns:
            The metric, a fraction.
        """
        recipe, test = setting.recipe(self.base, seed), self.data.split.test
        if role == "teacher":
            ensemble, _ = self.teachers.prepare(recipe)
            return metric_on_test(ensemble.class_logits(ensemble.predict(test)), test, role, self.metric)
        baseline = role == BASELINE
        folder, method = self._trial_folder(recipe, baseline), self._method(recipe)
        self._fit(recipe, folder, f"{setting} seed {seed}", baseline)
        final = open_student(self._students(recipe), method, self._role(method, baseline), folder / STUDENT)
        return metric_on_test(Forward(final)(test.images), test, "student", self.metric)

    def has(self, setting: Setting, seed: int, role: str) -> bool:
        """Return whether a student has been trained on this machine.

        Args:
            setting: Setting.
            seed: Seed.
            role: student, baseline or teacher.
        """
        folder = self._trial_folder(setting.recipe(self.base, seed), role == BASELINE)
        return role != "teacher" and load_result(folder, self.progress) is not None

    def delete_all_but(self, setting: Setting, seeds: tuple[int, ...]) -> None:
        """Delete the models of all other settings, whose results the study keeps, and the cached features.

        Args:
            setting: The chosen setting.
            seeds: Its seeds.
        """
        delete_features(self.folder / FEATURES_FOLDER)
        recipes = [setting.recipe(self.base, seed) for seed in seeds]
        retained = {self._trial_folder(recipe, baseline) for recipe in recipes for baseline in (False, True)}
        for folder in (self.folder / "trials").glob("*"):  # a machine that came late has none
            if folder not in retained:
                delete_result(folder)

    def _row(self, setting: Setting, seed: int) -> dict[str, Any]:
        recipe = setting.recipe(self.base, seed)
        folder, start = self._trial_folder(recipe, False), time.perf_counter()
        known = load_result(folder, self.progress) is not None
        result: dict[str, Any] = {"val": None, "val_loss": None, "best_epoch": None, "reason": None}
        try:
            result |= self._fit(recipe, folder, f"{setting} seed {seed}", False)
        except TrainingError as exc:
            result["reason"] = str(exc)
        seconds = round(time.perf_counter() - start, 3)
        return {**setting.to_dict(), "seed": seed, **result, "seconds": seconds, "known": known}

    def _fit(self, recipe: Recipe, folder: Path, trial: str, baseline: bool) -> dict[str, Any]:
        """Train a student unless it has been trained, report it as `trial`, and return its validation metrics."""
        if (known := load_result(folder, self.progress)) is not None:
            return known
        folder.mkdir(parents=True, exist_ok=True)
        students, method = self._students(recipe), self._method(recipe)
        model, role = students.build(method), self._role(method, baseline)
        targets = None if baseline else self.teachers.prepare(recipe)[1]
        shared = self.folder / FEATURES_FOLDER  # of frozen layers, shared by students with the same pretrained network
        name = BASELINE if baseline else "student"
        phase = students.make_phase(name, role, model, targets, folder / "checkpoint.npz", shared)
        feed, val = students.make_feed(role, targets), self.data.split.val
        state = train_phase(phase, model, feed, val, Trial(self.progress, trial), lambda rows: None)
        row, checkpoints = state.rows[state.best_epoch - 1], [phase.checkpoint]
        final = trained_model(phase, model, state, self.data.dataset.input_shape)
        if recipe.compress is not None:
            ensemble, listener = self.teachers.prepare(recipe)[0], Trial(self.progress, trial)
            targets = None if baseline else self.teachers.of_teacher(recipe)
            work = TrialCompression(Experiment(recipe, self.data), role, ensemble, targets, folder, listener)
            model, row, more = work.execute(model)
            checkpoints += more
            final = finalise(model, role, self.data.dataset.input_shape)
        save_model(final, folder / STUDENT)
        metrics = {"val": row[f"val_{self.metric}"], "val_loss": row["val_loss"], "best_epoch": state.best_epoch}
        save_result(folder, metrics)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        return metrics

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)
            if not self.terse:
                self.progress.warn(text)

    def _method(self, recipe: Recipe) -> Method:
        return recipe.method.bind(self.data.classes)

    @staticmethod
    def _role(method: Method, baseline: bool) -> Method:
        return method.for_baseline() if baseline else method

    def _students(self, recipe: Recipe) -> StudentFactory:
        return StudentFactory(Experiment(recipe, self.data))

    def _trial_folder(self, recipe: Recipe, baseline: bool) -> Path:
        """Return the folder of a student; that of a baseline is the same for all settings it does not depend on."""
        identity: Any = recipe.identity
        if baseline:
            role = self._method(recipe).for_baseline()
            identity = {**identity, "method": [role.model_dump(mode="json"), role.identity], BASELINE: True}
        return self.folder / "trials" / json_digest([self.fingerprint, identity])[:16]
