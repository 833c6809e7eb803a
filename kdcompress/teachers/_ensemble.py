"""Several teachers as one: the weighted mean of their probabilities, or of their logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.softmax import log_softmax
from kdcompress.teachers._base import RowIndex, TargetRows

Combine = Literal["probabilities", "logits"]


def combine_logits(
    logits: Sequence[NDArray[np.float32]], weights: Sequence[float], how: Combine
) -> NDArray[np.float32]:
    """The logits (n, classes) of an ensemble, from those of its members and their weights (which need not sum to 1).

    `probabilities`: log sum_k w_k softmax(z_k), the log of the mean of the members' probabilities; `logits`:
    sum_k w_k z_k, each z_k first shifted to mean 0, which changes no member's answer.
    """
    share = np.asarray(weights, np.float64) / np.sum(weights)
    stacked = np.stack([one.astype(np.float64) for one in logits])
    if how == "logits":
        centred = stacked - stacked.mean(axis=-1, keepdims=True)
        return np.asarray(np.tensordot(share, centred, axes=1), np.float32)
    log_p = log_softmax(stacked) + np.log(share).reshape(-1, *[1] * (stacked.ndim - 1))
    highest = log_p.max(axis=0)
    return np.asarray(highest + np.log(np.exp(log_p - highest).sum(axis=0)), np.float32)


class EnsembleTargets:
    """The targets of an ensemble, combined from its members' when they are asked for."""

    def __init__(self, members: Sequence[TargetRows], weights: Sequence[float], how: Combine) -> None:
        self._members, self._weights, self._how = members, weights, how
        self.shape: tuple[int, ...] = members[0].shape

    def __getitem__(self, place: RowIndex) -> NDArray[np.float32]:
        return combine_logits([np.asarray(one[place]) for one in self._members], self._weights, self._how)


class ConcatenatedTargets:
    """The targets of one set of samples, and behind them those of another."""

    def __init__(self, first: TargetRows, second: TargetRows) -> None:
        self._first, self._second = first, second
        self.shape = (first.shape[0] + second.shape[0], *first.shape[1:])

    def __getitem__(self, place: RowIndex) -> NDArray[np.float32]:
        index = np.arange(self.shape[0])[place[0]]
        views = np.broadcast_to(np.asarray(place[1]), index.shape)
        behind = index >= self._first.shape[0]
        found: NDArray[Any] = np.empty((len(index), *self.shape[2:]), np.float32)
        found[~behind] = self._first[index[~behind], views[~behind]]
        found[behind] = self._second[index[behind] - self._first.shape[0], views[behind]]
        return found
