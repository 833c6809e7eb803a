"""How good logits are, and where those of student and teacher differ, on labelled images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.ranking import auc

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
_BINS = 15


METRICS = {"accuracy": "accuracy", "auc": "AUC", "loss": "loss"}  # what they are called in text


def headline(classes: int) -> str:
    """The metric that gates and summaries speak of: `auc` for two classes, `accuracy` for more."""
    return "auc" if classes == 2 else "accuracy"


def measure(logits: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Accuracy, recall by class, F1, calibration error, and for two classes AUC; fractions in [0, 1].

    `f1` is that of the second class of two, else the mean over classes that have images. A class without images has
    recall None; with one class only, `auc` is None. Logits that are not finite count as wrong, and leave `ece` and
    `auc` None.
    """
    from sklearn.metrics import f1_score

    predicted = answers(logits)
    known = sorted(set(labels.tolist()))
    binary = len(classes) == 2
    # Of one label, the mean over labels is its own F1
    f1 = f1_score(labels, predicted, labels=[1] if binary else known, average="macro", zero_division=0)
    result: dict[str, Any] = {
        "accuracy": float(np.mean(predicted == labels)),
        "f1": float(f1),
        "ece": calibration_error(logits, labels) if np.isfinite(logits).all() else None,
        "recall": dict(zip(classes, _recall(predicted, labels, len(classes)), strict=True)),
    }
    return {**result, "auc": auc(logits, labels)} if binary else result


def answers(logits: Logits) -> NDArray[np.int64]:
    """The class of the largest logit by row; -1, which is no class, for a row that is not finite."""
    return np.where(np.isfinite(logits).all(axis=-1), logits.argmax(axis=-1), -1)


def probabilities(logits: Logits) -> NDArray[np.float64]:
    """The softmax of logits (n, classes), in float64."""
    wide = logits.astype(np.float64)
    wide = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(wide / wide.sum(axis=-1, keepdims=True))


def calibration_error(logits: Logits, labels: Labels, bins: int = _BINS) -> float:
    """Expected calibration error in [0, 1]: the mean gap between confidence and accuracy over equal bins of confidence.

    sum_b n_b / n * |accuracy_b - confidence_b|, confidence being the largest probability (Guo et al. 2017, eq. 3).
    """
    chances = probabilities(logits)
    confidence, right = chances.max(axis=-1), chances.argmax(axis=-1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def compare(student: Logits, teacher: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Where student and teacher differ: agreement of top-1, recall by class (student minus teacher), McNemar's test.

    McNemar's p is the exact one: of the images that only one of the two gets right, how likely is a split at least
    this uneven if both were equally good (two-sided binomial at 1/2; McNemar 1947).
    """
    from scipy.stats import binomtest

    mine, theirs = answers(student), answers(teacher)
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
    pairs = zip(*(_recall(answers(logits), labels, len(classes)) for logits in (now, before)), strict=True)
    changes = [None if a is None or b is None else a - b for a, b in pairs]
    return dict(zip(classes, changes, strict=True))


def _recall(predicted: NDArray[np.int64], labels: Labels, classes: int) -> list[float | None]:
    own = [predicted[labels == index] == index for index in range(classes)]
    return [float(hits.mean()) if len(hits) else None for hits in own]
