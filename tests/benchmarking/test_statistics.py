from __future__ import annotations

import numpy as np
import pytest

from kdcompress.benchmarking._statistics import MIN_ROUNDS, ratio, summarise

MS = 1_000_000


def turns(*medians: float) -> list[np.ndarray]:
    """Turns of three calls each, around medians given in ms."""
    return [np.array([0.9 * m * MS, m * MS, 5 * m * MS], np.int64) for m in medians]


def test_percentiles_by_hand() -> None:
    found = summarise([np.array([4, 1]) * MS, np.array([3, 2]) * MS], batch_size=2)
    assert found["n"] == 4
    assert found["p50_ms"] == pytest.approx(2.5)
    assert found["p90_ms"] == pytest.approx(3.7)  # 1 + 0.9 * 3 steps: 0.7 of the way from 3 to 4
    assert found["p99_ms"] == pytest.approx(3.97)
    assert found["mean_ms"] == pytest.approx(2.5)
    assert found["max_ms"] == 4
    assert found["throughput_per_s"] == pytest.approx(800)  # 2 images in 2.5 ms
    quantiles = found["quantiles_ms"]
    assert (len(quantiles), quantiles[0], quantiles[50], quantiles[100]) == (101, 1, 2.5, 4)


def test_nothing_is_clipped() -> None:
    found = summarise([np.array([1] * 99 + [1000]) * MS], 1)
    assert found["max_ms"] == 1000
    assert found["mean_ms"] == pytest.approx(10.99)


def test_a_ratio_is_the_geometric_mean_over_rounds_of_the_ratio_of_medians() -> None:
    found = ratio(turns(2, 8, 6), turns(1, 2, 6))
    assert found.value == pytest.approx(2)  # of 2, 4, 1
    assert (found.low, found.high) == (None, None)  # three rounds are too few for an interval
    assert not found.distinguishable
    assert ratio(turns(1, 2, 6), turns(2, 8, 6)).value == pytest.approx(1 / 2)


def test_the_interval_of_rounds_that_agree_is_a_point() -> None:
    found = ratio(turns(*[3] * MIN_ROUNDS), turns(*[2] * MIN_ROUNDS))
    assert (found.value, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))
    assert found.distinguishable


def test_the_interval_of_two_kinds_of_rounds_by_hand() -> None:
    # Runs of three alike, in 24 rounds: 8 blocks; a block's mean logarithm is log 4 times 0, 1/3, 2/3 or 1 (two starts
    # of six give 0 or 1, the others lie across an edge). The reach is sqrt(8/7) * t(7) = 2.528, the tails 0.0057.
    found = ratio(turns(*[1, 1, 1, 4, 4, 4] * 4), turns(*[1] * 24))
    assert found.value == pytest.approx(2)
    shares = {0: 1 / 6, 1 / 3: 2 / 6, 2 / 3: 2 / 6, 1: 1 / 6}
    mean, chance = np.array([0.0]), np.array([1.0])
    for _ in range(8):
        mean = np.add.outer(mean, np.array(list(shares))).ravel().round(9)
        chance = np.outer(chance, list(shares.values())).ravel()
        mean, where = np.unique(mean, return_inverse=True)
        chance = np.bincount(where, weights=chance)
    low, high = (mean[np.searchsorted(np.cumsum(chance), q)] / 8 for q in (0.0057, 1 - 0.0057))
    # The means lie 1/24 apart, and a quantile may fall on either side of a step
    assert np.log([found.low, found.high]) / np.log(4) == pytest.approx([low, high], abs=1 / 24 + 1e-9)


def test_rounds_that_follow_each_other_alike_widen_the_interval() -> None:
    slow_state = [1.0] * 15 + [1.3] * 15
    mixed = [1.0, 1.3] * 15
    drifting, alternating = (ratio(turns(*series), turns(*[1] * 30)) for series in (slow_state, mixed))
    assert drifting.value == pytest.approx(alternating.value)
    assert drifting.high - drifting.low > 1.5 * (alternating.high - alternating.low)


def test_an_unfinished_round_is_left_out() -> None:
    assert ratio(turns(2, 2, 50), turns(1, 1)).value == pytest.approx(2)


def test_a_drift_that_meets_both_models_cancels() -> None:
    drift = np.linspace(1, 3, 30)
    found = ratio(turns(*(2 * drift)), turns(*drift))
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)

    def series(mean: float) -> list[np.ndarray]:
        level = mean * np.exp(rng.normal(0, 0.05, 30)) * np.where(rng.random(30) < 0.1, 1.5, 1)  # a neighbour at times
        return [np.array([one * MS], np.int64) for one in level]

    pairs = [ratio(series(1.15), series(1.0)) for _ in range(300)]
    covered = np.mean([pair.low <= 1.15 <= pair.high for pair in pairs])
    assert 0.92 <= covered <= 0.99
    assert np.mean([pair.distinguishable for pair in pairs]) > 0.9  # and it is narrow enough to see 15 %
