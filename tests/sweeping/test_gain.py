from __future__ import annotations

import numpy as np
import pytest

from kdcompress.sweeping._gain import describe_gain, mean_interval, paired_gain


def test_an_interval_by_hand() -> None:
    # mean 3, s = sqrt(10 / 4), t(4) = 2.776
    found = mean_interval([1, 2, 3, 4, 5])
    half = 2.7764451 * np.sqrt(2.5) / np.sqrt(5)
    assert (found["mean"], found["n"]) == (3.0, 5)
    assert (found["low"], found["high"]) == (pytest.approx(3 - half), pytest.approx(3 + half))
    assert mean_interval([0.5]) == {"mean": 0.5, "low": None, "high": None, "n": 1}


def test_what_both_share_through_a_seed_cancels_out() -> None:
    seeds = np.array([0.0, 0.3, -0.2, 0.1])
    gain = paired_gain(0.9 + seeds + 0.01, 0.9 + seeds)
    assert gain["mean"] == pytest.approx(0.01)
    assert gain["high"] - gain["low"] < 1e-9
    assert gain["by_seed"] == pytest.approx([0.01] * 4)


@pytest.mark.parametrize("n", [3, 5])
def test_the_interval_covers_the_true_gain_in_95_of_100_cases(n: int) -> None:
    rng = np.random.default_rng(0)
    true, hits, cases = 0.004, 0, 4000
    for _ in range(cases):
        shared = rng.normal(scale=0.01, size=n)
        student = 0.98 + shared + true + rng.normal(scale=0.002, size=n)
        baseline = 0.98 + shared + rng.normal(scale=0.002, size=n)
        gain = paired_gain(student, baseline)
        hits += gain["low"] <= true <= gain["high"]
    assert hits / cases == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / cases))


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([0.004, 0.005, 0.006], "the teacher brings +0.50 points of accuracy (95 % +0.25 to +0.75, 3 seeds)"),
        ([-0.004, -0.005, -0.006], "the teacher costs -0.50 points of accuracy (95 % -0.75 to -0.25, 3 seeds)"),
        ([0.004, -0.004, 0.003], "no gain shown: +0.10 points of accuracy (95 % -0.98 to +1.18, 3 seeds)"),
        ([0.004], "+0.40 points of accuracy from the teacher in one seed: whether that is chance, several seeds tell"),
    ],
)
def test_the_sentence_that_a_reader_needs(differences: list[float], words: str) -> None:
    assert describe_gain(paired_gain(differences, [0.0] * len(differences))).startswith(words)
