"""Comparison of two models on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.classification import Labels, Logits, recall, top1
from kdcompress.metrics.softmax import softmax


def compare_models(student: Logits, teacher: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Compare the predictions of student and teacher.

    McNemar's p is exact: of the images that only one of the two predicts correctly, the probability of a split at
    least this uneven if both were equally good (two-sided binomial test at 1/2; McNemar 1947).

    Args:
        student: Logits, (n, classes).
        teacher: Logits, (n, classes).
        labels: (n,).
        classes: Class names.

    Returns:
        `agreement`, the fraction of equal top-1 predictions; `recall_change` by class, student minus teacher; and
        `mcnemar` with both counts and p.
    """
    from scipy.stats import binomtest

    student_top1, teacher_top1 = top1(student), top1(teacher)
    student_only = int(np.sum((student_top1 == labels) & (teacher_top1 != labels)))
    teacher_only = int(np.sum((student_top1 != labels) & (teacher_top1 == labels)))
    discordant = student_only + teacher_only
    return {
        "agreement": float(np.mean(student_top1 == teacher_top1)),
        "recall_change": recall_change(student, teacher, labels, classes),
        "mcnemar": {
            "student_only_right": student_only,
            "teacher_only_right": teacher_only,
            "p": float(binomtest(student_only, discordant).pvalue) if discordant else 1.0,
        },
    }


def recall_change(logits: Logits, reference: Logits, labels: Labels, classes: list[str]) -> dict[str, float | None]:
    """Compute how recall by class differs from that of a reference model.

    Args:
        logits: (n, classes).
        reference: Logits of the reference model, (n, classes).
        labels: (n,).
        classes: Class names.

    Returns:
        Recall minus the reference's recall, in [-1, 1]; None for a class without images.
    """
    pairs = zip(*(recall(top1(values), labels, len(classes)) for values in (logits, reference)), strict=True)
    changes = [None if a is None or b is None else a - b for a, b in pairs]
    return dict(zip(classes, changes, strict=True))


def disagreements(first: Logits, second: Logits, limit: int) -> NDArray[np.int64]:
    """Find the samples whose top-1 differs between two models, the most confident disagreements first.

    Args:
        first: Logits, (n, classes).
        second: Logits, (n, classes).
        limit: Maximum number of samples.

    Returns:
        Row indices, by the sum of both confidences (largest probabilities), descending; ties keep their order.
    """
    differing = np.flatnonzero(first.argmax(axis=-1) != second.argmax(axis=-1))
    confidence = _confidence(first[differing]) + _confidence(second[differing])
    return np.asarray(differing[np.argsort(-confidence, kind="stable")[:limit]], np.int64)


def _confidence(logits: Logits) -> NDArray[np.float64]:
    return np.asarray(np.nan_to_num(softmax(logits).max(axis=-1)), np.float64)
