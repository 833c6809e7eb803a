"""Ensembles of teachers: the weighted mean of their probabilities or logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.softmax import log_softmax
from kdcompress.teachers._spec import RowIndex, TargetRows

Combine = Literal["probabilities", "logits"]


def combine_logits(
    logits: Sequence[NDArray[np.float32]], weights: Sequence[float], combine: Combine
) -> NDArray[np.float32]:
    """Combine the logits of the members of an ensemble.

    `probabilities`: log sum_k w_k softmax(z_k), the log of the mean of the members' probabilities; `logits`:
    sum_k w_k z_k, each z_k first shifted to mean 0, which does not change the member's softmax.

    Args:
        logits: Logits (..., classes) of each member.
        weights: Weight of each member; they are normalized to sum to 1.
        combine: Whether probabilities or logits are averaged.

    Returns:
        Shape (..., classes).
    """
    normalized = np.asarray(weights, np.float64) / np.sum(weights)
    stacked = np.stack([member.astype(np.float64) for member in logits])
    if combine == "logits":
        centred = stacked - stacked.mean(axis=-1, keepdims=True)
        return np.asarray(np.tensordot(normalized, centred, axes=1), np.float32)
    log_p = log_softmax(stacked) + np.log(normalized).reshape(-1, *[1] * (stacked.ndim - 1))
    highest = log_p.max(axis=0)
    return np.asarray(highest + np.log(np.exp(log_p - highest).sum(axis=0)), np.float32)


class EnsembleTargets:
    """Targets of an ensemble, combined from those of its members when they are indexed.

    Args:
        members: Targets (samples, views, classes) of each member.
        weights: Weight of each member.
        combine: Whether probabilities or logits are averaged.
    """

    def __init__(self, members: Sequence[TargetRows], weights: Sequence[float], combine: Combine) -> None:
        self._members, self._weights, self._combine = members, weights, combine
        self.shape: tuple[int, ...] = members[0].shape

    def __getitem__(self, index: RowIndex) -> NDArray[np.float32]:
        return combine_logits([np.asarray(member[index]) for member in self._members], self._weights, self._combine)


class ConcatenatedTargets:
    """Targets of two sets of samples, one after the other.

    Args:
        first: Targets (n, views, ...).
        second: Targets (m, views, ...).
    """

    def __init__(self, first: TargetRows, second: TargetRows) -> None:
        self._first, self._second = first, second
        self.shape = (first.shape[0] + second.shape[0], *first.shape[1:])

    def __getitem__(self, index: RowIndex) -> NDArray[np.float32]:
        rows = np.arange(self.shape[0])[index[0]]
        views = np.broadcast_to(np.asarray(index[1]), rows.shape)
        in_second = rows >= self._first.shape[0]
        targets: NDArray[Any] = np.empty((len(rows), *self.shape[2:]), np.float32)
        targets[~in_second] = self._first[rows[~in_second], views[~in_second]]
        targets[in_second] = self._second[rows[in_second] - self._first.shape[0], views[in_second]]
        return targets
