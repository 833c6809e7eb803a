"""Reopening of the models, teachers and data of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Dataset, load_data
from kdcompress.errors import ModelError, RunError, TargetsError
from kdcompress.methods import Classes, Method
from kdcompress.models import load_model, load_saved_model, load_weights
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.opening import open_single_teacher
from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.plugins import needs_trust
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import RECIPE, remedy
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, open_teacher
from kdcompress.training.supervision import finalise
from kdcompress.trust import REMEDY, trusts_code


def open_model(run: RunFolder, role: str) -> Any:
    """Open a Keras model that a run has saved.

    A model of a class that Keras does not know is built by the recipe's `module:function`, if the user trusts the
    run's code, and gets the saved weights.

    Args:
        run: Run folder.
        role: teacher, student or baseline.

    Returns:
        The Keras model.

    Raises:
        ModelError: It cannot be opened, or needs code that is not trusted.
        RunError: It has not been saved yet, or has changed since.
    """
    name = f"{role}.keras"
    if not run.has_file(name):
        raise RunError(f"run {run.path} has no {role} yet; give its `kdcompress distill` command again to finish it")
    try:
        return load_saved_model(run / name)
    except ModelError as exc:
        recipe = read_run_recipe(run)
        reference = recipe.teacher.model if role == "teacher" else recipe.student.model
        manifest = run.manifest()
        if not needs_trust(reference) or "input_shape" not in manifest:
            raise
        if not trusts_code():
            raise ModelError(
                f"run {run.path}: its {role} needs {reference} to be opened, a program that its recipe names: {REMEDY}"
            ) from exc
        shape, method = tuple(manifest["input_shape"]), bound_method(run, recipe)
        model = load_model(reference, shape, method.head(Classes(len(manifest["classes"]))), role)
        final = finalise(model, method, shape) if role == "student" else model
        load_weights(final, run / name)
        return final


def open_data(run: RunFolder, recipe: Recipe, data_dir: Path | None, progress: Progress) -> Dataset:
    """Load the data of a run.

    Args:
        run: Run folder.
        recipe: Its recipe.
        data_dir: Folder of the data, if they have been moved.
        progress: Listener.

    Returns:
        The data set.

    Raises:
        DataError: The data cannot be loaded.
        RunError: The data have changed since the run.
    """
    dataset = load_data(recipe, progress, data_dir)
    run.check_data(dataset.facts)
    if dataset.notice:
        progress.note(dataset.notice)
    return dataset


def reopen_teachers(run: RunFolder, recipe: Recipe) -> TeacherEnsemble:
    """Open the teachers that a run has saved.

    Args:
        run: Run folder.
        recipe: Its recipe.

    Returns:
        The teachers; empty if none has been saved yet.

    Raises:
        ModelError: A teacher cannot be opened, or needs code that is not trusted.
        RunError: The run has not got that far, or its files have changed.
    """
    manifest = run.manifest()
    if "classes" not in manifest or "input_shape" not in manifest:
        raise RunError(f"run {run.path} has no teacher yet; give its `kdcompress distill` command again to finish it")
    saved, method = read_saved_teachers(run), bound_method(run, recipe)
    classes = tuple(manifest["classes"])
    spec = OutputSpec(tuple(manifest["input_shape"]), classes, method.head(Classes(len(classes))))
    sections = recipe.teacher.teachers
    if saved and len(saved) != len(sections):
        raise RunError(
            f"run {run.path} keeps {len(saved)} teachers and its recipe names {len(sections)}; "
            f"{remedy(RECIPE, run.path)}"
        )
    copies = [entry.path_in(run) for entry in saved.values()]
    teachers = tuple(
        _reopen_teacher(section, spec, copy) if copy else UnavailableTeacher(section, spec)
        for section, copy in zip(sections, copies, strict=False)
    )
    return TeacherEnsemble(teachers, sections, recipe, method)


def _reopen_teacher(section: SingleTeacherSection, spec: OutputSpec, copy: Path) -> Teacher:
    """Open a saved teacher; one that a function made is opened as a file, since the run's recipe may be untrusted."""
    if needs_trust(section.model) and not section.probe:
        try:
            return open_teacher(copy, section, spec, f"teacher {section.model}")
        except ModelError as exc:
            if not trusts_code():
                raise ModelError(
                    f"the run's teacher needs {section.model} to be opened, a program that its recipe names: {REMEDY}"
                ) from exc
    return open_single_teacher(section, spec, copy)


def bound_method(run: RunFolder, recipe: Recipe) -> Method:
    """Bind the method of a run to the classes of its data.

    Args:
        run: Run folder, whose manifest has the classes.
        recipe: Its recipe.

    Returns:
        The method.
    """
    manifest = run.manifest()
    subclasses = manifest.get("subclasses")
    sizes = tuple(len(names) for names in subclasses) if subclasses else None
    return recipe.method.bind(Classes(len(manifest["classes"]), sizes))


class UnavailableTeacher(Teacher):
    """A teacher of logits without a model: the run has its outputs, and it cannot predict anything else.

    Args:
        section: Settings of the teacher.
        spec: Images and outputs that are required.
    """

    def __init__(self, section: SingleTeacherSection, spec: OutputSpec) -> None:
        self.description, self.digest = f"teacher {section.model}", ""
        self.adapter = InputAdapter(spec.input_shape, section.preprocessing)

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> UnavailableTeacher:
        """Make the placeholder; nothing is opened."""
        return cls(section, spec)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Raise TargetsError."""
        raise TargetsError(
            f"{self.description} is a file of logits: the run has its outputs, and it cannot predict other images"
        )

    def save_copy(self, path: Path) -> None:
        """Do nothing: there is no model."""
