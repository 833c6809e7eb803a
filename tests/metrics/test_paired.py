"""Paired differences of two models' metric."""

from __future__ import annotations

import numpy as np

from kdcompress.metrics.paired import paired_difference


def logits(predicted: list[int], classes: int = 3) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[predicted]


def test_accuracy_by_hand() -> None:
    labels = np.zeros(1000, np.int64)
    first, second = [0] * 950 + [1] * 50, [0] * 900 + [1] * 100
    result = paired_difference(logits(first), logits(second), labels, "accuracy")
    assert result["value"] == 0.05
    # 50 of 1,000 images gained: binomial, 1.96 * sqrt(0.05 * 0.95 / 1000) = 0.0135
    assert result["low"] is not None and result["high"] is not None
    assert abs(result["low"] - 0.0365) < 0.002 and abs(result["high"] - 0.0635) < 0.002
    assert paired_difference(logits(first), logits(first), labels, "accuracy") == {"value": 0, "low": 0, "high": 0}


def test_auc() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    good = np.stack([np.zeros(200), labels + rng.normal(0, 0.5, 200)], 1).astype(np.float32)
    noise = rng.normal(0, 1, (200, 2)).astype(np.float32)
    result = paired_difference(good, noise, labels, "auc")
    assert result["low"] is not None and result["low"] > 0
