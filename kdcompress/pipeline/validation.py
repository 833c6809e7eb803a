"""Checks of a recipe against its data, before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.config.checks import keyed_assistants
from kdcompress.config.cluster import check_divisible
from kdcompress.config.recipe import Recipe
from kdcompress.errors import ModelError, RecipeError
from kdcompress.methods import Method
from kdcompress.metrics.softmax import softmax
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.teachers import EMBEDDING, LOGITS, TARGETS, Teacher
from kdcompress.training.projection import Space, check_space

_N_COMPARED = 16  # images on which a teacher's last layer is compared with its outputs
_PROBABILITY_GAP = 0.02  # what rounded or clipped outputs may differ by


def validate_training_config(experiment: Experiment) -> None:
    """Check that the trainings of a recipe are possible with its data, and that unlabelled images are used.

    Args:
        experiment: The recipe and its data.

    Raises:
        RecipeError: Names the setting to change.
    """
    recipe, method = experiment.recipe, experiment.method
    teacher_key = "teacher.members.{}.training" if recipe.teacher.members else "teacher.training"
    trainings = {"training": recipe.training}
    trainings |= {teacher_key.format(index): teacher.training for index, teacher in enumerate(recipe.teacher.teachers)}
    trainings |= {f"{key}.training": one.training for key, one in keyed_assistants(recipe).items() if one.training}
    for key, training in trainings.items():
        if training.choose_by == "auc":
            check_auc_available(experiment.data, f"{key}.choose_by = 'auc'")
    _check_workers(experiment)
    if recipe.uses_unlabelled and recipe.training.batches == "balanced":
        raise RecipeError("training.batches = 'balanced' needs a label for every image: take class_weights instead")
    _check_targets(recipe, method)
    _check_assistants(experiment)
    if len(recipe.teacher.teachers) > 1 and not method.comparable:
        raise RecipeError(
            "teachers that invent their own subclasses cannot be averaged: number 1 of one is not number 1 of another; "
            "take one teacher, or method.subclasses = 'known'"
        )
    if recipe.uses_unlabelled and not method.weighs_targets(recipe.training.total_epochs):
        raise RecipeError(
            "unlabelled images teach nothing without the teacher's outputs: take another method than "
            f"{recipe.method.name} or alpha > 0, or {_without_unlabelled(recipe)}"
        )


def _without_unlabelled(recipe: Recipe) -> str:
    return "leave `unlabelled` out" if recipe.unlabelled else "set split.rest = 'left out'"


def _check_workers(experiment: Experiment) -> None:
    """Check that the batches of student and baseline divide among the workers that train them."""
    recipe, data = experiment.recipe, experiment.data
    if recipe.cluster is None or recipe.cluster.train_workers == 1:
        return
    for samples in (data.transfer, data.split.train):
        check_divisible(min(recipe.training.batch_size, len(samples)), recipe.cluster.train_workers)


def _check_assistants(experiment: Experiment) -> None:
    """Check that assistants learn from a teacher, and end in the outputs that the student learns from."""
    recipe, classes, method = experiment.recipe, experiment.data.classes, experiment.method
    for key, section in keyed_assistants(recipe).items():
        if not method.needs_targets:
            continue
        bound, name = (section.method or recipe.method).bind(classes), (section.method or recipe.method).name
        _check_targets(recipe.model_copy(update={"method": section.method or recipe.method}), bound)
        if bound.replaces_head:
            raise RecipeError(
                f"{key}.method {name} ends in its teacher's last layer, and an assistant keeps its own: take another "
                f"one, such as --set {key}.method.name=hinton"
            )
        if not bound.needs_targets:
            raise RecipeError(f"{key}.method is {name}, which learns nothing from the teacher; take another method")
        if (bound.head(classes), bound.identity) != (method.head(classes), method.identity):
            raise RecipeError(
                f"{key}.method {name} has {bound.head(classes)} outputs, and the student learns from "
                f"{method.head(classes)} of {recipe.method.name}: both need the same"
            )


def _check_targets(recipe: Recipe, method: Method) -> None:
    if unknown := [name for name in method.wants if name not in TARGETS]:
        raise RecipeError(
            f"method {recipe.method.name} wants targets {', '.join(unknown)}; teachers give {', '.join(TARGETS)}"
        )
    if EMBEDDING in method.wants and recipe.teacher.members:
        raise RecipeError(
            f"method {recipe.method.name} takes the embedding of one teacher, got {len(recipe.teacher.members)}: an "
            "embedding has no mean over teachers; take one, or a method that compares logits"
        )
    if recipe.uses_unlabelled and method.needs_labels:
        raise RecipeError(
            f"method {recipe.method.name} needs a label for every image: take another method, or "
            f"{_without_unlabelled(recipe)}"
        )


def embedding_width(experiment: Experiment, teacher: Teacher) -> int:
    """Open the embedding of a teacher, if the method wants it, and return its width.

    Args:
        experiment: The recipe and its data.
        teacher: The teacher.

    Returns:
        The width; 0 for a method that takes no embedding.

    Raises:
        ModelError: The teacher has none, or its last layer is needed and not known.
    """
    method = experiment.method
    if EMBEDDING not in method.wants:
        return 0
    if not teacher.section.probe:  # a plan has not fitted the head, which is known then
        check_space(method, Space(0, teacher.classifier))
        if method.replaces_head or LOGITS in method.wants:
            _check_last_layer(teacher, experiment)
    first = experiment.data.split.train.take(np.arange(1))
    stored = None if teacher.uses_images else teacher.stored_embeddings(first)
    if stored is None:
        blank = np.zeros((1, *teacher.adapter.input_shape), np.uint8)
        return int(teacher.embed(blank).shape[-1])
    return int(stored.shape[-1])


def _check_last_layer(teacher: Teacher, experiment: Experiment) -> None:
    """Check that nothing follows the layer that is applied to students, such as a scale or another activation."""
    few = experiment.data.split.train.take(np.arange(min(_N_COMPARED, len(experiment.data.split.train))))
    images, last = teacher.resize(few.images)[:], teacher.classifier
    assert last is not None  # `check_space` has looked
    made = softmax(teacher.embed(images) @ last.kernel + last.bias)
    gap = float(np.abs(made - softmax(teacher.logits(images))).max())
    if gap > _PROBABILITY_GAP:
        raise ModelError(
            f"{teacher.description} does more to its embedding than its last layer with weights: the probabilities "
            f"differ by {gap:.2g}, and method {experiment.recipe.method.name} applies that layer alone; take method "
            "'embedding', or a teacher that ends in it"
        )


def check_compressible(recipe: Recipe, model: Any) -> None:
    """Check that the student of a recipe can be compressed, if the recipe asks for it.

    Args:
        recipe: The recipe.
        model: Its student as a Keras model.

    Raises:
        ModelError: It is a subclassed model.
    """
    graph = getattr(model, "_functional", None) or model
    if recipe.compress is not None and not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(
            f"compress takes functional and Sequential students, and {recipe.student.model} is a "
            f"{type(model).__name__}, whose layers have no known order; build it from keras.Input and layers, or leave "
            "compress out"
        )


def check_compression_start(recipe: Recipe) -> None:
    """Check that a recipe compresses a student that it trains.

    Args:
        recipe: The recipe of a run, not that of a compressed student.

    Raises:
        RecipeError: It names another student as the start.
    """
    if recipe.compress is None:
        return
    starts = ("student", "baseline") if recipe.baseline else ("student",)
    if recipe.compress.start not in starts:
        raise RecipeError(
            f"compress.start must be one of the students that the recipe trains, {' or '.join(starts)}, got "
            f"{recipe.compress.start!r}; leave it out, or compress the finished run: `kdcompress compress RUN:NAME`"
        )


def check_auc_available(data: RecipeData, setting: str) -> None:
    """Check that the AUC on validation is defined: there are two classes, and validation has images of both.

    Args:
        data: The data.
        setting: The setting that needs the AUC, for messages.

    Raises:
        RecipeError: The AUC is not defined.
    """
    classes = data.dataset.classes
    if len(classes) != 2:
        raise RecipeError(f"{setting} is for two classes, the data have {len(classes)}; take 'accuracy'")
    present = np.unique(data.split.val.labels)
    if len(present) < 2:
        raise RecipeError(
            f"{setting} needs both classes in validation, which has images of {classes[present[0]]} alone; "
            "take another validation part, or 'accuracy'"
        )
