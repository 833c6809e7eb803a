"""Whether a model is any better than the best constant answer, and whether classes are imbalanced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kdcompress.metrics.classification import Labels, Logits, recall, top1
from kdcompress.metrics.ranking import auc

_Z = 1.645  # one-sided 5 % quantile of the normal distribution
_IMBALANCE = 5.0  # ratio of the largest class to the smallest from which on an imbalance is strong


def largest_share(labels: Labels) -> float:
    """Return the accuracy of the best constant answer, the share of the most frequent label.

    Args:
        labels: (n,), at least one.

    Returns:
        Fraction in (0, 1].
    """
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def is_at_chance(logits: Logits, labels: Labels) -> bool:
    """Return whether a model is not shown to be better than the best constant answer, at the 5 % level.

    It is if its accuracy is above that of the constant, its mean recall above 1 / classes, or, for two classes, its AUC
    above 1/2: a model may rank rare images well and still answer with the frequent class. Standard errors are those of
    a model that knows nothing.

    Args:
        logits: (n, classes).
        labels: (n,).

    Returns:
        False if all labels are of one class, since nothing can then be shown.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return False
    share = largest_share(labels)
    predicted = top1(logits)
    if np.mean(predicted == labels) > share + _Z * np.sqrt(share * (1 - share) / len(labels)):
        return False
    chance = 1 / len(present)
    recalls = recall(predicted, labels, logits.shape[-1])
    mean_recall = float(np.mean([recalls[label] or 0.0 for label in present]))
    if mean_recall > chance + _Z * chance * np.sqrt(np.sum(chance * (1 - chance) / counts)):
        return False
    area = auc(logits, labels) if logits.shape[-1] == 2 else None
    return area is None or area <= 0.5 + _Z * np.sqrt((counts.sum() + 1) / (12 * counts.prod()))


def roles_at_chance(logits: Mapping[str, Logits], labels: Labels) -> list[str]:
    """List which of student and baseline are at chance.

    Args:
        logits: (n, classes) by role.
        labels: (n,).

    Returns:
        Roles for which `is_at_chance` holds.
    """
    return [role for role in ("student", "baseline") if role in logits and is_at_chance(logits[role], labels)]


def imbalance(labels: Labels, classes: Sequence[str]) -> str | None:
    """Describe a strong imbalance of the classes.

    Args:
        labels: (n,); negative ones, of images without a label, do not count.
        classes: Class names.

    Returns:
        The counts of the largest and the smallest class that has images, if their ratio is at least 5, and the setting
        that helps; else None.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return None
    largest, smallest = present[counts[present].argmax()], present[counts[present].argmin()]
    ratio = counts[largest] / counts[smallest]
    if ratio < _IMBALANCE:
        return None
    return (
        f"classes are imbalanced: {counts[largest]:,} images of {classes[largest]!r} to train on and "
        f"{counts[smallest]:,} of {classes[smallest]!r} ({ratio:.3g} to 1); "
        'training.class_weights = "balanced" weighs rare classes more'
    )
