"""Metrics of logits on labelled images; all are fractions in [0, 1] but for the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import auc
from kdcompress.metrics.softmax import softmax

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
_BINS = 15


METRIC_NAMES = {"accuracy": "accuracy", "auc": "AUC", "loss": "loss"}  # what they are called in text


def primary_metric(classes: int) -> str:
    """The metric that gates and summaries speak of: `auc` for two classes, `accuracy` for more."""
    return "auc" if classes == 2 else "accuracy"


def compute_metrics(logits: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Accuracy, recall by class, F1, calibration error, and for two classes AUC; fractions in [0, 1].

    `f1` is that of the second class of two, else the mean over classes that have images. A class without images has
    recall None; with one class only, `auc` is None. Logits that are not finite count as wrong, and leave `ece` and
    `auc` None.
    """
    from sklearn.metrics import f1_score

    predicted = top1(logits)
    known = sorted(set(labels.tolist()))
    binary = len(classes) == 2
    # Of one label, the mean over labels is its own F1
    f1 = f1_score(labels, predicted, labels=[1] if binary else known, average="macro", zero_division=0)
    result: dict[str, Any] = {
        "accuracy": float(np.mean(predicted == labels)),
        "f1": float(f1),
        "ece": expected_calibration_error(logits, labels) if np.isfinite(logits).all() else None,
        "recall": dict(zip(classes, recall(predicted, labels, len(classes)), strict=True)),
    }
    return {**result, "auc": auc(logits, labels)} if binary else result


def accuracy(logits: Logits, labels: Labels) -> float:
    """The fraction of samples whose largest logit is that of their label.

    Args:
        logits: (n, classes).
        labels: (n,).

    Returns:
        Accuracy in [0, 1].
    """
    return float(np.mean(logits.argmax(axis=-1) == labels))


def basic_metrics(logits: Logits, labels: Labels) -> dict[str, float | None]:
    """The metrics that a run gives at once: accuracy, and for two classes the AUC.

    Args:
        logits: (n, classes).
        labels: (n,).

    Returns:
        {"accuracy"} or {"accuracy", "auc"}; the AUC is None where it is not defined.
    """
    result: dict[str, float | None] = {"accuracy": accuracy(logits, labels)}
    return {**result, "auc": auc(logits, labels)} if logits.shape[-1] == 2 else result


def top1(logits: Logits) -> NDArray[np.int64]:
    """The class of the largest logit by row; -1, which is no class, for a row that is not finite."""
    return np.where(np.isfinite(logits).all(axis=-1), logits.argmax(axis=-1), -1)


def expected_calibration_error(logits: Logits, labels: Labels, bins: int = _BINS) -> float:
    """Expected calibration error in [0, 1]: the mean gap between confidence and accuracy over equal bins of confidence.

    sum_b n_b / n * |accuracy_b - confidence_b|, confidence being the largest probability (Guo et al. 2017, eq. 3).
    """
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def recall(predicted: NDArray[np.int64], labels: Labels, classes: int) -> list[float | None]:
    """Recall by class.

    Args:
        predicted: Class indices (n,); -1 is no class.
        labels: (n,).
        classes: The number of classes.

    Returns:
        A fraction in [0, 1] for each class, None for one without images.
    """
    own = [predicted[labels == index] == index for index in range(classes)]
    return [float(hits.mean()) if len(hits) else None for hits in own]
