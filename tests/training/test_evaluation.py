"""Where two models differ, worked out by hand."""

from __future__ import annotations

import numpy as np

from kdcompress.training.evaluation import disagreements


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
