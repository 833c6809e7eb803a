"""Figures of one model, and where two differ, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kdcompress.metrics.classification import basic_metrics
from kdcompress.metrics.comparison import disagreements
from kdcompress.metrics.ranking import auc


def test_disagreements_come_surest_first_and_equal_ones_in_their_order() -> None:
    first = np.array([[4, 0], [1, 0], [0, 9], [2, 0], [2, 0]], np.float32)
    second = np.array([[0, 4], [0, 1], [0, 9], [0, 2], [0, 2]], np.float32)
    # Row 2 agrees; the others' margins are 4, 1, 2 and 2, in both models.
    assert disagreements(first, second, 24).tolist() == [0, 3, 4, 1]
    assert disagreements(first, second, 2).tolist() == [0, 3]


def test_models_that_agree_and_logits_that_are_not_finite() -> None:
    logits = np.array([[1, 0], [0, 1]], np.float32)
    assert disagreements(logits, logits, 24).tolist() == []
    broken = np.array([[np.nan, 0], [0, 1]], np.float32)
    assert disagreements(logits, broken, 24).tolist() == []
    assert disagreements(1 - logits, broken, 24).tolist() == [1, 0]  # what is not finite is not sure of anything


def test_auc_with_ties_by_hand_and_by_counting_pairs() -> None:
    labels = np.array([0, 0, 1, 1])
    # Of four pairs three are right and one is tied; the second column alone would not rank so
    scores = np.array([[3, 3.5], [0, 1], [1, 2], [9, 12]], np.float32)
    assert auc(scores, labels) == 3.5 / 4
    rng = np.random.default_rng(0)
    many, rounded = rng.integers(0, 2, 80), np.round(rng.normal(size=(80, 2)) * 2).astype(np.float32)
    gap = rounded[:, 1] - rounded[:, 0]
    pairs = [
        (gap[i] > gap[j]) + 0.5 * (gap[i] == gap[j]) for i in np.flatnonzero(many) for j in np.flatnonzero(1 - many)
    ]
    assert auc(rounded, many) == pytest.approx(np.mean(pairs))


def test_auc_that_is_not_defined_is_none() -> None:
    scores = np.array([[0, 1], [0, 2]], np.float32)
    assert auc(scores, np.array([1, 1])) is None
    assert auc(np.array([[0, np.inf], [0, 2]], np.float32), np.array([0, 1])) is None


def test_figures_of_two_classes_have_an_auc() -> None:
    labels = np.array([0, 1, 1])
    assert basic_metrics(np.array([[1, 0], [2, 3], [1, 0]], np.float32), labels) == {
        "accuracy": pytest.approx(2 / 3),
        "auc": 0.75,
    }
    assert basic_metrics(np.eye(3, dtype=np.float32), labels) == {"accuracy": pytest.approx(2 / 3)}
