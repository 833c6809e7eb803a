"""Opening of the teachers that a recipe names."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection
from kdcompress.errors import RecipeError
from kdcompress.models import call_function, load_model, load_weights, seed_everything
from kdcompress.pipeline.ensemble import TeacherEnsemble, role_names
from kdcompress.pipeline.experiment import Experiment, Reporter
from kdcompress.pipeline.probing import ProbedTeacher, with_own_head
from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.pipeline.zoo import ZooTeacher
from kdcompress.plugins import is_reference
from kdcompress.remote import local_path
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, open_teacher, teacher_of_model


def open_teachers(experiment: Experiment, run: RunFolder | None, reporter: Reporter) -> TeacherEnsemble:
    """Open the teachers that a recipe names; zoo models are trained first, or taken from the cache.

    Args:
        experiment: The recipe and its data.
        run: Run folder, whose copies take the place of the originals, which may be gone or changed.
        reporter: Listeners.

    Returns:
        The teachers.

    Raises:
        ModelError: A teacher cannot be opened, or does not match the data.
        RecipeError: The settings of a teacher do not match its model.
    """
    recipe, split, spec = experiment.recipe, experiment.data.split, experiment.spec
    sections, saved = recipe.teacher.teachers, read_saved_teachers(run) if run else {}
    teachers = []
    for name, section in zip(role_names("teacher", len(sections)), sections, strict=True):
        zoo_teacher = ZooTeacher(recipe, section, split, experiment.method)
        on_history = functools.partial(reporter.on_history, name)
        train = functools.partial(zoo_teacher.train_or_load, spec, reporter.progress, on_history)
        entry = saved.get(name)
        copy = entry.path_in(run) if run and entry else None
        teacher = open_single_teacher(section, spec, copy, train, reporter.progress.note)
        if section.probe and copy is None:
            teacher = ProbedTeacher(teacher, section, spec, split.with_labels(section.labels)).open(reporter.progress)
        if entry:
            teacher.digest = entry.digest  # of the original: the copy may be serialized differently
        check_output_count(teacher, spec)
        teacher.set_reading(section, split.train)
        teachers.append(teacher)
    return TeacherEnsemble(tuple(teachers), sections, recipe, experiment.method)


def open_single_teacher(
    section: SingleTeacherSection,
    spec: OutputSpec,
    copy: Path | None = None,
    train: Callable[[], Any] | None = None,
    note: Callable[[str], None] | None = None,
) -> Teacher:
    """Open one teacher.

    Args:
        section: Settings of the teacher.
        spec: Images and outputs that are required.
        copy: Its copy in a run folder, which takes the place of the original.
        train: Returns the trained model of a zoo teacher. By default, the model has its initial weights.
        note: Called with messages on the initialization of a zoo model.

    Returns:
        The teacher.

    Raises:
        ModelError: The model cannot be opened, or does not match `spec`.
        RecipeError: The section sets a preprocessing for a zoo model.
    """
    description = f"teacher {section.model}"
    if copy is not None and section.probe:
        return open_teacher(copy, with_own_head(section), spec, description)
    is_zoo = registry.contains("models", section.model)
    if is_zoo and section.preprocessing != PreprocessingSection():
        raise RecipeError(
            f"{description} is a zoo model, which has its preprocessing inside: leave teacher.preprocessing out"
        )
    copy_is_enough = copy is not None and copy.suffix != ".keras"  # of a model that Keras does not build
    if not is_zoo and (copy_is_enough or not is_reference(section.model)):
        return open_teacher(copy or local_path(section.model), section, spec, description)
    if is_zoo and section.weights == "train" and not copy and train is not None:
        return teacher_of_model(train(), section, spec, description)
    seed_everything(section.seed)
    if is_zoo:
        initialization = section.initialization
        if copy:
            initialization = replace(initialization, pretrained="none")
        model = load_model(
            section.model, spec.input_shape, spec.n_outputs, "teacher", initialization=initialization, note=note
        )
    else:
        model = call_function(section.model, "teacher", spec.input_shape, spec.n_outputs)
    if copy:
        teacher_of_model(model, section, spec, description)  # builds the weights that are then loaded
        load_weights(model, copy)
    teacher = teacher_of_model(model, section, spec, description)
    teacher.path = copy or teacher.path
    return teacher
