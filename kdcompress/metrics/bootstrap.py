"""Bootstrap confidence intervals of AUCs, over images or over groups of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.metrics.ranking import auc, margins

RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 0
_MIN_GROUPS = 5  # per class
_BLOCK = 2_000_000  # counts per block: they fit into the processor's cache, and keep NumPy's overhead small
Logits = NDArray[np.float32]
Labels = NDArray[np.int64]
Groups = NDArray[np.str_] | None
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class BootstrapAucs:
    """AUCs of several models on one test set and on the same resamples of it.

    Attributes:
        aucs: AUC of each role; None where it is undefined.
        resamples: AUCs of each role on the resamples, (RESAMPLES,); None where the AUC is undefined, or where a class
            has a single image or fewer than five groups.
        unit: What was resampled, "images" or "groups".
    """

    aucs: dict[str, float | None]
    resamples: dict[str, NDArray[np.float64] | None]
    unit: str

    def interval(self, role: str) -> tuple[float | None, float | None]:
        """Return the 95 % percentile interval of a model's AUC.

        Args:
            role: Key of `aucs`.

        Returns:
            Lower and upper bound; both None without an interval.
        """
        return _percentile_interval(self.resamples[role])

    def difference(self, role: str, other: str) -> dict[str, float | None] | None:
        """Return AUC(role) - AUC(other) with its paired 95 % interval.

        Args:
            role: Key of `aucs`.
            other: Key of `aucs`, which may be missing.

        Returns:
            {"value", "low", "high"}, or None if either AUC is undefined.
        """
        auc_a, auc_b = self.aucs.get(role), self.aucs.get(other)
        if auc_a is None or auc_b is None:
            return None
        resamples_a, resamples_b = self.resamples[role], self.resamples[other]
        paired = None if resamples_a is None or resamples_b is None else resamples_a - resamples_b
        low, high = _percentile_interval(paired)
        return {"value": auc_a - auc_b, "low": low, "high": high}


def bootstrap_aucs(logits: Mapping[str, Logits], labels: Labels, groups: Groups = None) -> BootstrapAucs:
    """Compute the AUCs of models on all images and on RESAMPLES bootstrap resamples.

    Args:
        logits: Logits (n, 2) of each role.
        labels: (n,), 0 or 1.
        groups: Group of each image, (n,); groups are resampled whole. None resamples images.

    Returns:
        The AUCs of P(second class).
    """
    aucs = {role: auc(values, labels) for role, values in logits.items()}
    scores = {role: margins(logits[role]) for role, value in aucs.items() if value is not None}
    resampled: dict[str, NDArray[np.float64] | None] = dict.fromkeys(logits)
    if scores and _can_resample(labels, groups):
        blocks: dict[str, list[NDArray[np.float64]]] = {role: [] for role in scores}
        for counts in draw_resamples(labels, groups):
            for role, values in scores.items():
                blocks[role].append(weighted_aucs(values, labels, counts))
        resampled |= {role: np.concatenate(parts) for role, parts in blocks.items()}
    return BootstrapAucs(aucs, resampled, "images" if groups is None else "groups")


def draw_resamples(labels: Labels, groups: Groups = None) -> Iterator[Counts]:
    """Draw bootstrap resamples with replacement, the same ones at every call.

    Images are drawn within each class. Groups are drawn whole, and a resample that lacks a class is drawn again.

    Args:
        labels: (n,), 0 or 1.
        groups: Group of each image, (n,), or None.

    Yields:
        Blocks (b, n) of how often each image occurs in each resample; RESAMPLES rows in all.
    """
    rng, step = np.random.default_rng(_SEED), max(1, _BLOCK // len(labels))
    remaining = RESAMPLES
    while remaining:
        counts = _resample_images(rng, labels, step) if groups is None else _resample_groups(rng, groups, step)
        both_classes = (counts[:, labels == 1] > 0).any(axis=1) & (counts[:, labels == 0] > 0).any(axis=1)
        valid = counts[both_classes][:remaining]
        remaining -= len(valid)
        yield valid


def _resample_images(rng: np.random.Generator, labels: Labels, rows: int) -> Counts:
    counts = np.zeros((rows, len(labels)), np.int64)
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        counts[:, members] = _draw_counts(rng, len(members), rows)
    return counts


def _resample_groups(rng: np.random.Generator, groups: NDArray[np.str_], rows: int) -> Counts:
    names, group_index = np.unique(groups, return_inverse=True)
    return np.asarray(_draw_counts(rng, len(names), rows)[:, group_index])


def _draw_counts(rng: np.random.Generator, size: int, rows: int) -> Counts:
    """Count how often each of `size` items occurs in `size` draws with replacement, (rows, size)."""
    drawn = rng.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)


def weighted_aucs(scores: NDArray[np.float64], labels: Labels, counts: Counts) -> NDArray[np.float64]:
    """Compute the AUC of each resample; ties count one half.

    Args:
        scores: Finite scores, (n,).
        labels: (n,), 0 or 1.
        counts: How often each image occurs in each resample, (b, n).

    Returns:
        AUCs, (b,).
    """
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of runs of equal scores
    sorted_counts, positive = counts[:, order], labels[order] == 1
    positives = np.add.reduceat(sorted_counts * positive, starts, axis=1)
    negatives = np.add.reduceat(sorted_counts * ~positive, starts, axis=1)
    # Doubled, so that all counts stay integers: 2 for each negative below, 1 for each negative of equal score
    wins = (positives * (2 * np.cumsum(negatives, axis=1) - negatives)).sum(axis=1)
    return np.asarray(wins / (2 * positives.sum(axis=1) * negatives.sum(axis=1)))


def _can_resample(labels: Labels, groups: Groups) -> bool:
    """Whether each class has enough images or groups: intervals over few groups would be too narrow."""
    units, minimum = (np.arange(len(labels)), 2) if groups is None else (groups, _MIN_GROUPS)
    return all(len(np.unique(units[labels == label])) >= minimum for label in (0, 1))


def _percentile_interval(values: NDArray[np.float64] | None) -> tuple[float | None, float | None]:
    if values is None:
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    # All resamples of a perfect ranking are perfect, which does not make the AUC certain
    return (None, None) if low == high else (float(low), float(high))
