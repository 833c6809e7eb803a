"""Softmax, log-softmax and cross-entropy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the softmax over the last axis.

    Args:
        logits: (..., classes), of any float type.

    Returns:
        Probabilities of the same shape, NaN in rows that are not finite.
    """
    wide = np.exp(_shifted(logits))
    return np.asarray(wide / wide.sum(axis=-1, keepdims=True))


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the logarithm of the softmax over the last axis, without underflow.

    Args:
        logits: (..., classes), of any float type.

    Returns:
        Log probabilities of the same shape, in nats.
    """
    shifted = _shifted(logits)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def cross_entropy(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Compute the mean cross-entropy, -log softmax(logits)[label].

    Args:
        logits: (n, classes).
        labels: (n,), in [0, classes).

    Returns:
        Mean cross-entropy, in nats.
    """
    return float(np.mean(-log_softmax(logits)[np.arange(len(labels)), labels]))


def _shifted(logits: NDArray[Any]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    return np.asarray(wide - wide.max(axis=-1, keepdims=True))
