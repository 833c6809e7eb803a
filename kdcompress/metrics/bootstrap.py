"""How far an AUC may be chance: the percentile bootstrap, of images or of whole groups of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import auc, margins

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 0
_FEWEST_GROUPS = 5  # that each class must be in
_BLOCK = 2_000_000  # counts at once: few enough for the processor's memory, many enough for NumPy
Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
Groups = NDArray[np.str_] | None
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class BootstrapAucs:
    """The AUC of each model on a test set, and its AUCs (RESAMPLES,) on resamples of it, the same for all models.

    `unit` says what was resampled, "images" or "groups". An AUC that is not defined is None; its resamples are None,
    too, and those of a test set that has a class in one image alone or in fewer than five groups.
    """

    aucs: dict[str, float | None]
    resamples: dict[str, NDArray[np.float64] | None]
    unit: str

    def interval(self, role: str) -> tuple[float | None, float | None]:
        """Low and high end of the 95 % percentile interval of a model's AUC."""
        return _interval(self.resamples[role])

    def difference(self, role: str, other: str) -> dict[str, float | None] | None:
        """{"value", "low", "high"} of AUC(role) - AUC(other), paired: each resample is that of both; None without."""
        one, two = self.aucs.get(role), self.aucs.get(other)
        if one is None or two is None:
            return None
        first, second = self.resamples[role], self.resamples[other]
        low, high = _interval(None if first is None or second is None else first - second)
        return {"value": one - two, "low": low, "high": high}


def bootstrap_aucs(logits: Mapping[str, Logits], labels: Labels, groups: Groups = None) -> BootstrapAucs:
    """The AUCs of P(second class) by logits (n, 2) of each role, on all images and on RESAMPLES resamples of them."""
    aucs = {role: auc(values, labels) for role, values in logits.items()}
    sound = {role: margins(logits[role]) for role, value in aucs.items() if value is not None}
    drawn: dict[str, NDArray[np.float64] | None] = dict.fromkeys(logits)
    if sound and _varies(labels, groups):
        parts: dict[str, list[NDArray[np.float64]]] = {role: [] for role in sound}
        for counts in draw_resamples(labels, groups):
            for role, scores in sound.items():
                parts[role].append(weighted_aucs(scores, labels, counts))
        drawn |= {role: np.concatenate(part) for role, part in parts.items()}
    return BootstrapAucs(aucs, drawn, "images" if groups is None else "groups")


def draw_resamples(labels: Labels, groups: Groups = None) -> Iterator[Counts]:
    """How often each image is in each resample: blocks (b, n) of RESAMPLES rows together, the same at every call.

    Drawn with replacement, as many as there are: images within each class, so that both are in every resample, or whole
    groups, where a resample that lacks a class is drawn again.
    """
    rng, step = np.random.default_rng(_SEED), max(1, _BLOCK // len(labels))
    left = RESAMPLES
    while left:
        counts = _of_images(rng, labels, step) if groups is None else _of_groups(rng, groups, step)
        both = (counts[:, labels == 1] > 0).any(axis=1) & (counts[:, labels == 0] > 0).any(axis=1)
        sound = counts[both][:left]
        left -= len(sound)
        yield sound


def _of_images(rng: np.random.Generator, labels: Labels, rows: int) -> Counts:
    counts = np.zeros((rows, len(labels)), np.int64)
    for one in (0, 1):
        members = np.flatnonzero(labels == one)
        counts[:, members] = _drawn(rng, len(members), rows)
    return counts


def _of_groups(rng: np.random.Generator, groups: NDArray[np.str_], rows: int) -> Counts:
    names, owner = np.unique(groups, return_inverse=True)
    return np.asarray(_drawn(rng, len(names), rows)[:, owner])


def _drawn(rng: np.random.Generator, size: int, rows: int) -> Counts:
    """How often each of `size` is drawn in `size` draws with replacement, (rows, size)."""
    drawn = rng.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)


def weighted_aucs(scores: NDArray[np.float64], labels: Labels, counts: Counts) -> NDArray[np.float64]:
    """The AUC (b,) of finite scores (n,) for each row of `counts` (b, n), how often each image is there; ties half."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of equal scores
    sorted_counts, second = counts[:, order], labels[order] == 1
    above = np.add.reduceat(sorted_counts * second, starts, axis=1)
    below = np.add.reduceat(sorted_counts * ~second, starts, axis=1)
    # Doubled, so that all stays whole: 2 for each first-class image below, 1 for each of equal score
    wins = (above * (2 * np.cumsum(below, axis=1) - below)).sum(axis=1)
    return np.asarray(wins / (2 * above.sum(axis=1) * below.sum(axis=1)))


def _varies(labels: Labels, groups: Groups) -> bool:
    """Whether resamples of each class differ enough to say anything: of few groups, an interval would be too narrow."""
    units, fewest = (np.arange(len(labels)), 2) if groups is None else (groups, _FEWEST_GROUPS)
    return all(len(np.unique(units[labels == one])) >= fewest for one in (0, 1))


def _interval(drawn: NDArray[np.float64] | None) -> tuple[float | None, float | None]:
    if drawn is None:
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    # All resamples of a perfect ranking are perfect, which does not make it certain
    return (None, None) if low == high else (float(low), float(high))
