"""Figures taken from logits and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The fraction of samples whose largest logit is that of their label, in [0, 1]."""
    return float(np.mean(logits.argmax(axis=-1) == labels))


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean of -log softmax(logits)[label], in nats."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(wide).sum(axis=-1))
    return float(np.mean(log_sum - wide[np.arange(len(labels)), labels]))
