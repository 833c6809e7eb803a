"""Classification metrics of logits and labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import auc
from kdcompress.metrics.softmax import softmax

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
_BINS = 15


METRIC_NAMES = {"accuracy": "accuracy", "auc": "AUC", "loss": "loss"}  # key -> name in text


def primary_metric(classes: int) -> str:
    """Return the key of the metric that gates and summaries use.

    Args:
        classes: Number of classes.

    Returns:
        "auc" for two classes, "accuracy" for more.
    """
    return "auc" if classes == 2 else "accuracy"


def compute_metrics(logits: Logits, labels: Labels, classes: list[str]) -> dict[str, Any]:
    """Compute accuracy, F1, expected calibration error, recall by class and, for two classes, AUC.

    Args:
        logits: (n, classes). A row that is not finite counts as a wrong prediction.
        labels: (n,).
        classes: Class names.

    Returns:
        Fractions in [0, 1] by key. `f1` is that of the second of two classes, else the mean over the classes that have
        images. `recall` is a dict, None for a class without images. `ece` is None if any logit is not finite; `auc`
        also if all labels are of one class.
    """
    from sklearn.metrics import f1_score

    predicted = top1(logits)
    present = sorted(set(labels.tolist()))
    binary = len(classes) == 2
    # With one label, the macro average is that label's own F1
    f1 = f1_score(labels, predicted, labels=[1] if binary else present, average="macro", zero_division=0)
    result: dict[str, Any] = {
        "accuracy": float(np.mean(predicted == labels)),
        "f1": float(f1),
        "ece": expected_calibration_error(logits, labels) if np.isfinite(logits).all() else None,
        "recall": dict(zip(classes, recall(predicted, labels, len(classes)), strict=True)),
    }
    return {**result, "auc": auc(logits, labels)} if binary else result


def accuracy(logits: Logits, labels: Labels) -> float:
    """Compute the fraction of samples whose largest logit is that of their label.

    Args:
        logits: (n, classes).
        labels: (n,).

    Returns:
        Accuracy in [0, 1].
    """
    return float(np.mean(logits.argmax(axis=-1) == labels))


def basic_metrics(logits: Logits, labels: Labels) -> dict[str, float | None]:
    """Compute the metrics that a run reports when training ends: accuracy and, for two classes, AUC.

    Args:
        logits: (n, classes).
        labels: (n,).

    Returns:
        {"accuracy"} or {"accuracy", "auc"}; the AUC is None where it is undefined.
    """
    result: dict[str, float | None] = {"accuracy": accuracy(logits, labels)}
    return {**result, "auc": auc(logits, labels)} if logits.shape[-1] == 2 else result


def top1(logits: Logits) -> NDArray[np.int64]:
    """Return the index of the largest logit of each row.

    Args:
        logits: (..., classes).

    Returns:
        Class indices; -1 for rows that are not finite.
    """
    return np.where(np.isfinite(logits).all(axis=-1), logits.argmax(axis=-1), -1)


def expected_calibration_error(logits: Logits, labels: Labels, bins: int = _BINS) -> float:
    """Compute the expected calibration error over bins of confidence of equal width.

    sum_b n_b / n * |accuracy_b - confidence_b|, where confidence is the largest probability (Guo et al. 2017, eq. 3).

    Args:
        logits: Finite logits, (n, classes).
        labels: (n,).
        bins: Number of bins.

    Returns:
        Calibration error in [0, 1].
    """
    probabilities = softmax(logits)
    confidence, correct = probabilities.max(axis=-1), probabilities.argmax(axis=-1) == labels
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def recall(predicted: NDArray[np.int64], labels: Labels, classes: int) -> list[float | None]:
    """Compute recall by class.

    Args:
        predicted: Class indices, (n,); -1 stands for no class.
        labels: (n,).
        classes: Number of classes.

    Returns:
        A fraction in [0, 1] for each class, None for a class without images.
    """
    hits = [predicted[labels == index] == index for index in range(classes)]
    return [float(own.mean()) if len(own) else None for own in hits]
