"""Softmax and the loss that belongs to it, in float64 whatever the logits are in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The softmax over the last axis.

    Args:
        logits: Of any shape (..., classes).

    Returns:
        Probabilities of the same shape, NaN in rows that are not finite.
    """
    wide = np.exp(_shifted(logits))
    return np.asarray(wide / wide.sum(axis=-1, keepdims=True))


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm of the softmax over the last axis, without underflow.

    Args:
        logits: Of any shape (..., classes).

    Returns:
        Log probabilities, in nats, of the same shape.
    """
    shifted = _shifted(logits)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def cross_entropy(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The mean of -log softmax(logits)[label].

    Args:
        logits: (n, classes).
        labels: (n,), in [0, classes).

    Returns:
        The mean cross-entropy, in nats.
    """
    return float(np.mean(-log_softmax(logits)[np.arange(len(labels)), labels]))


def _shifted(logits: NDArray[Any]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    return np.asarray(wide - wide.max(axis=-1, keepdims=True))
