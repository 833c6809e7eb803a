"""Preparation of teachers and computation of the student's targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kdcompress.data import FileImages
from kdcompress.digests import json_digest
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.experiment import Experiment, Reporter
from kdcompress.pipeline.opening import open_teachers
from kdcompress.pipeline.saved_teachers import read_saved_teachers
from kdcompress.pipeline.validation import embedding_width, validate_training_config
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import EMBEDDING, LOGITS, ConcatenatedTargets, Targets, Teacher, is_distorted


def prepare_teachers(experiment: Experiment, run: RunFolder | None, reporter: Reporter) -> TeacherEnsemble:
    """Open the teachers of a recipe and check them, training zoo models first.

    Args:
        experiment: The recipe and its data.
        run: Run folder, whose copies of teachers take the place of the originals; None outside a run.
        reporter: Listeners.

    Returns:
        The teachers. If they are needed for labelling, their accuracy on labelled images has been checked.

    Raises:
        RecipeError: The settings do not match the data.
        ModelError: A teacher cannot be opened or does not match the data.
        TargetsError: A teacher has no outputs for some images, or is no better than chance.
    """
    recipe, data, method = experiment.recipe, experiment.data, experiment.method
    validate_training_config(experiment)
    ensemble = open_teachers(experiment, run, reporter)
    embedding_width(experiment, ensemble.teachers[0])  # raises before anything is labelled
    unlabelled = [data.unlabelled] if data.unlabelled else []
    ids = np.concatenate([samples.ids for samples in (*data.dataset.parts.values(), *unlabelled)])
    for teacher in ensemble.teachers:
        for note in teacher.input_notes:
            reporter.progress.note(f"{teacher.description} {note}")
        for note in teacher.notes(data.dataset.classes):
            reporter.warn(f"{teacher.description} {note}")
        _note_resizing(teacher, experiment, reporter)
        teacher.check_samples(ids, recipe.views)
    if method.needs_targets and not (run and read_saved_teachers(run)):
        for warning in ensemble.check(data.split, data.dataset.classes):
            reporter.warn(warning)
    return ensemble


def _note_resizing(teacher: Teacher, experiment: Experiment, reporter: Reporter) -> None:
    teacher_shape, student_shape = teacher.adapter.input_shape, experiment.data.dataset.input_shape
    if teacher_shape != student_shape:
        teacher_size, student_size = ("x".join(map(str, shape)) for shape in (teacher_shape, student_shape))
        from_files = isinstance(experiment.data.split.train.images, FileImages)
        action = "image files are read at that size for it" if from_files else "images are fitted to it"
        train = experiment.data.split.train
        squashed = "; they are squashed for it: teacher.preprocessing.resize = 'crop' or 'pad' keeps their aspect ratio"
        reporter.progress.note(
            f"{teacher.description} takes images of {teacher_size}, the student of {student_size}: {action}"
            f"{squashed if is_distorted(teacher, train) else ''}"
        )


def compute_training_targets(ensemble: TeacherEnsemble, experiment: Experiment, reporter: Reporter) -> Targets:
    """Compute the targets of the transfer set.

    Args:
        ensemble: The teachers.
        experiment: The recipe and its data.
        reporter: Listeners.

    Returns:
        Targets of the training images, followed by those of the images without labels.

    Raises:
        TargetsError: The targets agree with the labels no better than chance.
    """
    data, views, progress = experiment.data, experiment.recipe.views, reporter.progress
    split = data.split
    targets = ensemble.compute_targets(split.train, split.fingerprint, views, progress, experiment.labeller)
    judgement = ""
    if LOGITS in targets.arrays:
        agreement, warning = ensemble.check_labels(targets, split, data.dataset.classes)
        if warning:
            reporter.warn(warning)
        judgement = f"; the {ensemble.role} agrees with {100 * agreement:.2f} % of the training labels"
    if EMBEDDING in targets.arrays:
        judgement += (
            f"; embeddings of {targets.arrays[EMBEDDING].shape[-1]} numbers, {ensemble.teachers[0].embedder.layer}"
        )
    origin = "from the cache" if targets.cached else f"labelled in {targets.seconds:.1f} s"
    progress.note(f"targets: {targets.rows.shape[0]:,} samples x {targets.rows.shape[1]} views, {origin}{judgement}")
    if data.unlabelled is None:
        return targets
    unlabelled = ensemble.compute_targets(
        data.unlabelled, data.unlabelled_fingerprint, views, progress, experiment.labeller
    )
    progress.note(f"targets: {unlabelled.rows.shape[0]:,} unlabelled images beside them")
    return replace(
        targets,
        arrays={name: ConcatenatedTargets(rows, unlabelled.arrays[name]) for name, rows in targets.arrays.items()},
        cached=targets.cached and unlabelled.cached,
        seconds=targets.seconds + unlabelled.seconds,
        key=json_digest([targets.key, unlabelled.key]),
    )
