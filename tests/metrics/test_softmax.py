"""Softmax and cross-entropy, against SciPy's and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from kdcompress.metrics.softmax import cross_entropy, log_softmax, softmax


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 7)])
def test_they_are_scipys(shape: tuple[int, ...]) -> None:
    logits = np.random.default_rng(0).normal(0, 30, shape).astype(np.float32)
    wide = logits.astype(np.float64)
    np.testing.assert_allclose(softmax(logits), special.softmax(wide, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(log_softmax(logits), special.log_softmax(wide, axis=-1), rtol=1e-12, atol=1e-12)


def test_large_logits_neither_overflow_nor_vanish() -> None:
    logits = np.array([[1e4, 0.0]], np.float32)
    assert softmax(logits).tolist() == [[1.0, 0.0]]
    assert log_softmax(logits).tolist() == [[0.0, -1e4]]
    assert cross_entropy(logits, np.array([1])) == 1e4


def test_cross_entropy_by_hand() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32))
    assert cross_entropy(logits, np.array([0, 2])) == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2, rel=1e-6)
