"""One student of a sweep: trained, chosen and judged on validation; tested only when it is asked for by name."""

from __future__ import annotations

import gc
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import Recipe
from kdcompress.data import Samples
from kdcompress.digests import cached_sha256, json_digest, sha256_of
from kdcompress.errors import TrainingError
from kdcompress.methods import Method
from kdcompress.metrics.classification import METRIC_NAMES, basic_metrics, primary_metric
from kdcompress.metrics.finite import check_finite
from kdcompress.models import Forward, digest_of_model_file, load_weights, save_model
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.labelling import check_auc_available, label_all, prepare_teachers
from kdcompress.pipeline.student import StudentFactory
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import TRIAL
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.sweeping._events import Quiet, Trial
from kdcompress.sweeping._space import Setting
from kdcompress.teachers import Targets
from kdcompress.training.features import delete_features
from kdcompress.training.fitting import FEATURES_FOLDER, finalise, train_phase

BASELINE = "baseline"
_STUDENT, _RESULT = "student.keras", "trial.json"


_FIGURES = ("val", "val_loss", "best_epoch")
_VOUCHED = "student_sha256"


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass
class Worker:
    """Trains students for one sweep: data, teachers and targets are loaded once, whatever the settings.

    One of several processes is `terse`: what it loads, the process that started it has said.
    """

    base: Recipe
    folder: Path
    progress: Progress
    terse: bool = False
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loading = Quiet(self.progress) if self.terse else self.progress
        self.data = RecipeData(self.base, self._loading)
        self._mine: str | None = None
        self._collect_at = 0.0
        self._taught: dict[str, tuple[TeacherEnsemble, Targets | None]] = {}

    @property
    def fingerprint(self) -> str:
        """What all students of the sweep are made of, beside their settings: data, and the models that files hold."""
        if self._mine is None:
            files = [digest_of_model_file(path) for path in self.base.files.values()]
            data = self.data
            self._mine = json_digest([data.split.fingerprint, data.unlabelled_fingerprint, files])
        return self._mine

    @property
    def metric(self) -> str:
        """What students are judged by: AUC for two classes, else accuracy."""
        return primary_metric(len(self.data.dataset.classes))

    def prepare(self, settings: list[Setting]) -> None:
        """Train teachers and label once, before processes that share the cache would wait for each other."""
        if self.metric == "auc":
            check_auc_available(self.data, "a sweep's metric, the AUC,")
        if notice := self.data.dataset.notice:
            self._warn(notice)
        for setting in settings:
            recipe = setting.recipe(self.base, self.base.seed)
            self._students(recipe).build(self._method(recipe))  # one that does not fit is told first
            self._teaching(recipe)

    def train(self, setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
        """A row for each seed: {**setting, "seed", "val", "val_loss", "best_epoch", "seconds", "reason"}.

        `reason` says why a training failed; then "val" is None. What was trained before is not trained again.
        """
        rows = []
        for seed in seeds:
            row = self._row(setting, seed)
            rows.append(row)
            self._collect()
            if row.pop("known"):
                continue  # said by the process that was killed before it could tell the study
            shown = row["reason"] or f"validation {METRIC_NAMES[self.metric]} {100 * row['val']:.2f} %"
            self.progress.note(f"{setting.shown}, seed {seed}: {shown}  ({row['seconds']:.1f} s)")
        return rows

    def _collect(self) -> None:
        """Free the models of ended trials, which refer to themselves; in a twentieth of the time at most."""
        start = time.perf_counter()
        if start >= self._collect_at:
            gc.collect()  # goes through all objects there are
            self._collect_at = start + 20 * (time.perf_counter() - start)

    def test(self, setting: Setting, seed: int, baseline: bool = False) -> float:
        """The metric on test of the student of a setting and seed, or of the same student without the teacher."""
        recipe = setting.recipe(self.base, seed)
        place = self._place(recipe, baseline)
        self._fit(recipe, place, _trial_name(setting, seed), baseline)
        method = self._method(recipe)
        model = self._students(recipe).build(method)
        final = finalise(model, self._role(method, baseline), self.data.dataset.input_shape)
        load_weights(final, place / _STUDENT)
        test = self.data.split.test
        return self._measured(Forward(final)(test.images), test, "student")

    def teacher_test(self, setting: Setting) -> float:
        """The metric on test of the teacher that a setting learns from."""
        ensemble, _ = self._teaching(setting.recipe(self.base, self.base.seed))
        test = self.data.split.test
        return self._measured(ensemble.read(ensemble.predict(test)), test, "teacher")

    def _measured(self, logits: NDArray[np.float32], test: Samples, what: str) -> float:
        check_finite(logits, test.ids, what)
        found = basic_metrics(logits, test.labels)[self.metric]
        if found is None:
            raise TrainingError(
                f"the {METRIC_NAMES[self.metric]} on test is not known: test has images of one class alone"
            )
        return found

    def forget_all_but(self, setting: Setting, seeds: tuple[int, ...]) -> None:
        """Delete the models of every other setting, whose figures stay in the study, and what frozen layers gave."""
        delete_features(self.folder / FEATURES_FOLDER)
        kept = {self._place(setting.recipe(self.base, seed), baseline) for seed in seeds for baseline in (False, True)}
        for place in (self.folder / "trials").iterdir():
            if place not in kept and (place / _RESULT).is_file():  # another process may be training in it if not
                (place / _RESULT).unlink()
                if not TRIAL.delete(place):
                    place.rmdir()

    def _row(self, setting: Setting, seed: int) -> dict[str, Any]:
        recipe = setting.recipe(self.base, seed)
        place, start = self._place(recipe, False), time.perf_counter()
        known = self._found(place) is not None
        found: dict[str, Any] = {"val": None, "val_loss": None, "best_epoch": None, "reason": None}
        try:
            found |= self._fit(recipe, place, _trial_name(setting, seed), False)
        except TrainingError as exc:
            found["reason"] = str(exc)
        seconds = round(time.perf_counter() - start, 3)
        return {**setting.facts, "seed": seed, **found, "seconds": seconds, "known": known}

    def _fit(self, recipe: Recipe, place: Path, trial: str, baseline: bool) -> dict[str, Any]:
        """Train a student into `place`, unless it is there, and report it as `trial`; its figures on validation."""
        if (known := self._found(place)) is not None:
            return known
        place.mkdir(parents=True, exist_ok=True)
        students, method = self._students(recipe), self._method(recipe)
        model, role = students.build(method), self._role(method, baseline)
        targets = None if baseline else self._teaching(recipe)[1]
        shared = self.folder / FEATURES_FOLDER  # students that start from one network have frozen layers in common
        phase = students.make_phase(
            BASELINE if baseline else "student", role, model, targets, place / "checkpoint.npz", shared
        )
        feed, val = students.make_feed(role, targets), self.data.split.val
        state = train_phase(phase, model, feed, val, Trial(self.progress, trial), lambda rows: None)
        save_model(finalise(model, role, self.data.dataset.input_shape), place / _STUDENT)
        best = state.rows[state.best_epoch - 1]
        figures = {"val": best[f"val_{self.metric}"], "val_loss": best["val_loss"], "best_epoch": state.best_epoch}
        write_sealed(place / _RESULT, {**figures, _VOUCHED: sha256_of(place / _STUDENT)})
        phase.checkpoint.unlink(missing_ok=True)
        return figures

    def _found(self, place: Path) -> dict[str, Any] | None:
        """The figures of a student that was trained before; None of one that is not there, or not as it was kept."""
        try:
            known = read_sealed(place / _RESULT, (*_FIGURES, _VOUCHED))
            student = cached_sha256(place / _STUDENT)
            # A sweep of version 0.1 vouched for nothing
            if known.pop(_VOUCHED, student) == student and all(map(_is_figure, known.values())):
                return known
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError):
            pass
        self.progress.warn(f"{place} is not as it was kept: refused, its student is trained anew")
        return None

    def _teaching(self, recipe: Recipe) -> tuple[TeacherEnsemble, Targets | None]:
        """The teachers and targets of a setting: the same for all that ask the same teachers the same."""
        method = self._method(recipe)
        key = json_digest([method.for_teacher().model_dump(mode="json"), method.identity, method.needs_targets])
        if key not in self._taught:
            ensemble = prepare_teachers(
                recipe, None, self.data, method, self._loading, lambda name, rows: None, self._warn
            )
            targets = (
                label_all(ensemble, self.data, recipe, self._loading, self._warn) if method.needs_targets else None
            )
            self._taught[key] = ensemble, targets
        return self._taught[key]

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
        return StudentFactory(recipe, self.data)

    def _place(self, recipe: Recipe, baseline: bool) -> Path:
        """The folder of a student; a baseline does not depend on what its method makes of the teacher."""
        identity: Any = recipe.identity
        if baseline:
            role = self._method(recipe).for_baseline()
            identity = {**identity, "method": [role.model_dump(mode="json"), role.identity], BASELINE: True}
        return self.folder / "trials" / json_digest([self.fingerprint, identity])[:16]


def _trial_name(setting: Setting, seed: int) -> str:
    return f"{setting.shown} seed {seed}"
