"""Where two models differ on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.classification import Labels, Logits, recall, top1
from kdcompress.metrics.softmax import softmax


def compare_models(student: Logits, teacher: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Where student and teacher differ: agreement of top-1, recall by class (student minus teacher), McNemar's test.

    McNemar's p is the exact one: of the images that only one of the two gets right, how likely is a split at least
    this uneven if both were equally good (two-sided binomial at 1/2; McNemar 1947).
    """
    from scipy.stats import binomtest

    mine, theirs = top1(student), top1(teacher)
    student_only = int(np.sum((mine == labels) & (theirs != labels)))
    teacher_only = int(np.sum((mine != labels) & (theirs == labels)))
    differing = student_only + teacher_only
    return {
        "agreement": float(np.mean(mine == theirs)),
        "recall_change": recall_change(student, teacher, labels, classes),
        "mcnemar": {
            "student_only_right": student_only,
            "teacher_only_right": teacher_only,
            "p": float(binomtest(student_only, differing).pvalue) if differing else 1.0,
        },
    }


def recall_change(now: Logits, before: Logits, labels: Labels, classes: list[str]) -> dict[str, float | None]:
    """Recall by class, `now` minus `before`; None for a class without images."""
    pairs = zip(*(recall(top1(logits), labels, len(classes)) for logits in (now, before)), strict=True)
    changes = [None if a is None or b is None else a - b for a, b in pairs]
    return dict(zip(classes, changes, strict=True))


def disagreements(first: NDArray[np.float32], second: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The rows of two sets of logits (n, classes) whose top-1 differs, those that both are surest of first.

    At most `most` of them, by the sum of both confidences (the largest probabilities); equal sums in their order.
    """
    differing = np.flatnonzero(first.argmax(axis=-1) != second.argmax(axis=-1))
    sureness = _confidence(first[differing]) + _confidence(second[differing])
    return np.asarray(differing[np.argsort(-sureness, kind="stable")[:most]], np.int64)


def _confidence(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.nan_to_num(softmax(logits).max(axis=-1)), np.float64)
