"""Warnings about a model that is no better than a constant answer, and about imbalanced classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kdcompress.config.training import TrainingSection
from kdcompress.metrics.chance import imbalance, is_at_chance, largest_share
from kdcompress.metrics.classification import Labels, Logits, top1
from kdcompress.models import lacks_rescaling

_SETTLED = 0.05  # weight of the initial statistics in moving averages, above which inference suffers


def chance_warning(
    role: str, model: Any, logits: Logits, labels: Labels, training: TrainingSection, steps: int
) -> str | None:
    """Warn about a trained model that is not shown to be better than the best constant answer.

    Args:
        role: student or baseline.
        model: The trained Keras model.
        logits: Its logits on test, (n, classes).
        labels: Labels of test, (n,).
        training: Settings of its training.
        steps: Number of steps of its training.

    Returns:
        The warning with the likely cause, or None.
    """
    if not is_at_chance(logits, labels):
        return None
    right, constant = 100 * np.mean(top1(logits) == labels), 100 * largest_share(labels)
    return (
        f"the {role} is not shown to be better than a constant answer: {right:.2f} % of {len(labels):,} test images "
        f"against {constant:.2f} % for the most frequent class; {likely_cause(model, training, steps)}"
    )


def count_steps(training: TrainingSection, samples: int) -> int:
    """Count the steps of a training.

    Args:
        training: Its settings.
        samples: Number of training samples.

    Returns:
        Number of steps in all epochs.
    """
    return training.total_epochs * max(samples // min(training.batch_size, samples), 1)


def likely_cause(model: Any, training: TrainingSection, steps: int) -> str:
    """Name the likeliest reason for a model that has learned nothing, and what to change.

    Args:
        model: The trained Keras model.
        training: Settings of its training.
        steps: Number of steps of its training.

    Returns:
        A clause.
    """
    if lacks_rescaling(model):
        return "it gets pixels of 0 to 255 unscaled: put keras.layers.Rescaling(1 / 255) at its start"
    momentum = max((layer.momentum for layer in _batch_norms(model)), default=0.0)
    if momentum**steps > _SETTLED:
        needed = int(np.ceil(np.log(_SETTLED) / np.log(momentum)))
        return (
            f"its BatchNormalization has momentum {momentum:g}, whose moving statistics need about {needed:,} steps, "
            f"and training has {steps:,}: set momentum = 0.9, or train for more epochs"
        )
    rates = " and ".join(f"{stage.learning_rate:g}" for stage in training.plan)
    return (
        f"try other learning rates (training.learning_rate, now {rates}; a tenth and ten times of it), or more than "
        f"{training.total_epochs} epochs"
    )


def imbalance_warning(labels: Labels, classes: list[str], training: TrainingSection) -> str | None:
    """Warn about strongly imbalanced classes, unless the training balances them.

    Args:
        labels: Labels of the training images, (n,).
        classes: Class names.
        training: Settings of the student's training.

    Returns:
        The warning, or None.
    """
    if training.weighs_classes or training.balances_batches:
        return None
    return imbalance(labels, classes)


def _batch_norms(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _batch_norms(layer)
        elif type(layer).__name__ == "BatchNormalization" and layer.trainable:
            yield layer
