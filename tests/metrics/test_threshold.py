"""Thresholds and the rates at them, worked out by hand and by trying every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from kdcompress.metrics.threshold import choose_threshold, rates_at_threshold, second_class_probability


def logits_of(*chances: float) -> np.ndarray:
    """Logits whose P(second class) is as given."""
    second = np.array(chances, np.float64)
    return np.log(np.stack([1 - second, second], axis=1)).astype(np.float32)


def threshold_of(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """P(second class) at the margin that is chosen."""
    return second_class_probability(choose_threshold(logits, labels))


def margin(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def test_youdens_threshold_by_hand() -> None:
    # Halfway candidates: 0.2 (J = 1 + 1/3 - 1), 0.4 (1 + 2/3 - 1), 0.6 (2/3 + 2/3 - 1), 0.75 (2/3 + 1 - 1), 0.85 (1/3)
    labels = np.array([0, 0, 1, 0, 1, 1])
    assert threshold_of(logits_of(0.1, 0.3, 0.5, 0.7, 0.8, 0.9), labels) == pytest.approx(0.4)  # 0.75 is farther


def test_of_equal_j_the_threshold_nearest_a_half_wins_and_of_equally_near_the_lower() -> None:
    # 0.3 finds all and rejects half, 0.89 finds half and rejects all, 0.6 half of each
    assert threshold_of(logits_of(0.2, 0.4, 0.8, 0.98), np.array([0, 1, 0, 1])) == pytest.approx(0.3)
    assert threshold_of(logits_of(0.02, 0.2, 0.6, 0.68), np.array([0, 1, 0, 1])) == pytest.approx(0.64)
    # Logits that are each other's mirror image: J is the same on both sides of 0.5
    mirrored = np.array([[0, -3], [0, -1], [0, 1], [0, 3]], np.float32)
    lower = (1 / (1 + np.exp(3)) + 1 / (1 + np.exp(1))) / 2
    assert threshold_of(mirrored, np.array([0, 1, 0, 1])) == pytest.approx(lower)


def test_equal_chances_stay_on_one_side() -> None:
    assert threshold_of(logits_of(0.2, 0.2, 0.2, 0.6), np.array([0, 1, 0, 1])) == pytest.approx(0.4)


def test_no_candidate_does_better() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    chances = np.round(np.clip(rng.normal(0.3 + 0.2 * labels, 0.2), 0.01, 0.99), 2)  # with many ties
    threshold = threshold_of(logits_of(*chances), labels)
    assert threshold is not None

    def youden(at: float) -> float:
        return float(np.mean(chances[labels == 1] >= at) + np.mean(chances[labels == 0] < at) - 1)

    best = max(youden(at) for at in np.linspace(0, 1, 2001) + 0.00025)
    assert youden(threshold) == pytest.approx(best)


def test_where_nothing_can_be_chosen() -> None:
    assert threshold_of(logits_of(0.2, 0.8), np.array([1, 1])) is None
    assert threshold_of(np.array([[0, np.nan], [0, 1]], np.float32), np.array([0, 1])) is None
    assert threshold_of(logits_of(0.9, 0.9), np.array([0, 1])) == 0.5


def test_rates_by_hand_and_by_scikit_learn() -> None:
    labels = np.array([1, 1, 1, 1, 0, 0, 0])
    scores = logits_of(0.9, 0.4, 0.35, 0.1, 0.38, 0.2, 0.1)
    found = rates_at_threshold(scores, labels, margin(0.375))
    assert (found["sensitivity"], found["specificity"]) == (2 / 4, 2 / 3)
    assert found["f1_at_threshold"] == pytest.approx(f1_score(labels, [1, 1, 0, 0, 1, 0, 0]))
    # The threshold itself counts as the second class
    even = np.zeros((2, 2), np.float32)
    assert rates_at_threshold(even, np.array([1, 0]), margin(0.5))["sensitivity"] == 1.0


def test_rates_without_a_class_without_a_threshold_and_of_values_that_are_not_finite() -> None:
    scores = logits_of(0.9, 0.2)
    assert rates_at_threshold(scores, np.array([1, 1]), margin(0.5)) == {
        "sensitivity": 0.5,
        "specificity": None,
        "f1_at_threshold": pytest.approx(2 / 3),
    }
    assert rates_at_threshold(scores[1:], np.array([0]), margin(0.5))["f1_at_threshold"] is None
    assert set(rates_at_threshold(scores, np.array([0, 1]), None).values()) == {None}
    broken = logits_of(0.9, 0.9, 0.1, 0.1)
    broken[[0, 2]] = np.nan
    found = rates_at_threshold(broken, np.array([1, 1, 0, 0]), margin(0.5))
    assert (found["sensitivity"], found["specificity"]) == (0.5, 0.5)


def test_very_sure_models_are_told_apart_by_their_margins() -> None:
    # P is 1.0 in float64 from a margin of 37 on
    sure = np.array([[0, 36], [0, 37], [0, 38], [0, 39], [0, 40], [0, 60]], np.float32)
    labels = np.array([0, 0, 0, 0, 1, 1])
    found = choose_threshold(sure, labels)
    assert found == pytest.approx(39.5)
    assert rates_at_threshold(sure, labels, found) == {"sensitivity": 1.0, "specificity": 1.0, "f1_at_threshold": 1.0}
