"""Figures taken from logits and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import TrainingError
from kdcompress.ranking import auc


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The fraction of samples whose largest logit is that of their label, in [0, 1]."""
    return float(np.mean(logits.argmax(axis=-1) == labels))


def refuse_non_finite(outputs: NDArray[np.float32], ids: NDArray[np.str_], what: str) -> None:
    """TrainingError that names the first sample of which outputs (n, ...) are NaN or infinite: they are no answer."""
    bad = np.flatnonzero(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=-1))
    if len(bad):
        raise TrainingError(
            f"the {what}'s outputs for sample {ids[bad[0]]} are not finite ({len(bad):,} of {len(ids):,} samples); "
            "check its weights, the pixels it expects (0 to 255 arrive), and the learning rate"
        )


def figures(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float | None]:
    """{"accuracy"}, and of two classes {"auc"}: what a run says of a model at once."""
    found: dict[str, float | None] = {"accuracy": accuracy(logits, labels)}
    return {**found, "auc": auc(logits, labels)} if logits.shape[-1] == 2 else found


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean of -log softmax(logits)[label], in nats."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(wide).sum(axis=-1))
    return float(np.mean(log_sum - wide[np.arange(len(labels)), labels]))


def disagreements(first: NDArray[np.float32], second: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """The rows of two sets of logits (n, classes) whose top-1 differs, those that both are surest of first.

    At most `most` of them, by the sum of both confidences (the largest probabilities); equal sums in their order.
    """
    differing = np.flatnonzero(first.argmax(axis=-1) != second.argmax(axis=-1))
    sureness = _confidence(first[differing]) + _confidence(second[differing])
    return np.asarray(differing[np.argsort(-sureness, kind="stable")[:most]], np.int64)


def _confidence(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(np.nan_to_num(wide.max(axis=-1) / wide.sum(axis=-1)), np.float64)
