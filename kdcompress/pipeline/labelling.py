"""Teachers opened, shown to know the labelled images, and asked once about everything that the student learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kdcompress.config.recipe import Recipe
from kdcompress.data import FileImages
from kdcompress.digests import json_digest
from kdcompress.errors import RecipeError
from kdcompress.methods import Method
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.opening import open_teachers, read_saved_teachers
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import TARGETS, ConcatenatedTargets, Targets
from kdcompress.training.checkpoints import Row


def prepare_teachers(
    recipe: Recipe,
    run: RunFolder | None,
    data: RecipeData,
    method: Method,
    progress: Progress,
    on_rows: Callable[[str, list[Row]], None],
    warn: Callable[[str], None],
) -> TeacherEnsemble:
    """The teachers of a recipe, each shown to answer and, if they must label, to know labelled images; see `warn`.

    `run` may keep copies of them. Errors: ModelError, TargetsError.
    """
    dataset, split = data.dataset, data.split
    validate_training_config(recipe, method, data)
    if len(recipe.teacher.teachers) > 1 and not method.comparable:
        raise RecipeError(
            "teachers that invent their own subclasses cannot be averaged: number 1 of one is not number 1 of another; "
            "take one teacher, or method.subclasses = 'known'"
        )
    ensemble = open_teachers(recipe, run, split, dataset, method, progress, on_rows)
    more = [data.unlabelled] if data.unlabelled else []
    ids = np.concatenate([part.ids for part in (*dataset.parts.values(), *more)])
    for teacher in ensemble.teachers:
        for note in teacher.notes(dataset.classes):
            warn(f"{teacher.description} {note}")
        if teacher.adapter.input_shape != dataset.input_shape:
            theirs, ours = ("x".join(map(str, one)) for one in (teacher.adapter.input_shape, dataset.input_shape))
            from_files = isinstance(split.train.images, FileImages)
            how = "image files are read at that size for it" if from_files else "images are fitted to it"
            progress.note(f"{teacher.description} takes images of {theirs}, the student of {ours}: {how}")
        teacher.check_samples(ids, recipe.views)
    if method.needs_targets and not (run and read_saved_teachers(run)):
        for warning in ensemble.check(split, dataset.classes):
            warn(warning)
    return ensemble


def validate_training_config(recipe: Recipe, method: Method, data: RecipeData) -> None:
    """RecipeError for images without labels from which nothing would be learned, and for a training that cannot be."""
    place = "teacher.members.{}.training" if recipe.teacher.members else "teacher.training"
    trained = {place.format(number): one.training for number, one in enumerate(recipe.teacher.teachers)}
    for key, training in {"training": recipe.training, **trained}.items():
        if training.choose_by == "auc":
            check_auc_available(data, f"{key}.choose_by = 'auc'")
    if recipe.unlabelled and recipe.training.batches == "balanced":
        raise RecipeError("training.batches = 'balanced' needs a label for every image: take class_weights instead")
    _refuse_targets(recipe, method)
    if recipe.unlabelled and not method.weighs_targets(recipe.training.total_epochs):
        raise RecipeError(
            "unlabelled images teach nothing without the teacher's outputs: take another method than "
            f"{recipe.method.name} or alpha > 0, or leave `unlabelled` out"
        )


def _refuse_targets(recipe: Recipe, method: Method) -> None:
    """RecipeError for a method that wants what teachers do not give, or the labels of images without."""
    if unknown := [name for name in method.wants if name not in TARGETS]:
        raise RecipeError(
            f"method {recipe.method.name} wants targets {', '.join(unknown)}; teachers give {', '.join(TARGETS)}"
        )
    if recipe.unlabelled and method.needs_labels:
        raise RecipeError(
            f"method {recipe.method.name} needs a label for every image: take another method, or leave `unlabelled` out"
        )


def check_auc_available(data: RecipeData, what: str) -> None:
    """RecipeError if `what` asks for an AUC on validation that there is not."""
    classes = data.dataset.classes
    if len(classes) != 2:
        raise RecipeError(f"{what} is for two classes, the data have {len(classes)}; take 'accuracy'")
    if len(there := np.unique(data.split.val.labels)) < 2:
        raise RecipeError(
            f"{what} needs both classes in validation, which has images of {classes[there[0]]} alone; "
            "take another validation part, or 'accuracy'"
        )


def label_all(
    ensemble: TeacherEnsemble, data: RecipeData, recipe: Recipe, progress: Progress, warn: Callable[[str], None]
) -> Targets:
    """The targets of the training images, and behind them those of images without labels.

    Errors: TargetsError if they do not agree with the labels better than chance.
    """
    split = data.split
    targets = ensemble.compute_targets(split.train, split.fingerprint, recipe.views, progress)
    agree, doubt = ensemble.check_labels(targets, split, data.dataset.classes)
    if doubt:
        warn(doubt)
    how = "from the cache" if targets.cached else f"labelled in {targets.seconds:.1f} s"
    progress.note(
        f"targets: {targets.logits.shape[0]:,} samples x {targets.logits.shape[1]} views, {how}; "
        f"the teacher agrees with {100 * agree:.2f} % of the training labels"
    )
    if data.unlabelled is None:
        return targets
    more = ensemble.compute_targets(data.unlabelled, data.unlabelled_fingerprint, recipe.views, progress)
    progress.note(f"targets: {more.logits.shape[0]:,} unlabelled images beside them")
    return Targets(
        {name: ConcatenatedTargets(rows, more.arrays[name]) for name, rows in targets.arrays.items()},
        targets.cached and more.cached,
        targets.seconds + more.seconds,
        json_digest([targets.key, more.key]),
    )
