"""Whether distillation is worth it here: the verdict by the interval of the gain, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from kdcompress.sweeping._gain import paired_gain
from kdcompress.sweeping._worth import judge_worth

BEST = {"method": "hinton", "temperature": 4.0, "alpha": 0.5}


def result(differences: list[float], metric: str = "accuracy", **best: Any) -> dict[str, Any]:
    trials = [{"seconds": seconds} for seconds in (10.25, 20.0, 30.5, 40.0)]
    gain = paired_gain(differences, [0.0] * len(differences))
    return {"best": {**BEST, **best}, "gain": gain, "metric": metric, "trials": trials}


@pytest.mark.parametrize(
    ("differences", "verdict", "words"),
    [
        # Mean 0.5, deviation 0.1 points: half of the interval is 4.3027 * 0.1 / sqrt(3)
        (
            [0.004, 0.005, 0.006],
            "worth it",
            "worth it here: hinton T 4 alpha 0.5 brings 0.50 points of accuracy on test against the same student "
            "without the teacher (95 % +0.25 to +0.75, 3 seeds); choosing it took 4 students and 101 s of training, "
            "and the student is as large and as fast as without",
        ),
        (
            [-0.004, -0.005, -0.006],
            "harmful",
            "harmful here: hinton T 4 alpha 0.5 costs 0.50 points of accuracy on test against the same student "
            "without the teacher (95 % -0.75 to -0.25, 3 seeds); finding out took 4 students and 101 s of training: "
            "train without the teacher, or take another one",
        ),
        (
            [0.004, -0.004, 0.003],
            "not shown",
            "no gain shown here: hinton T 4 alpha 0.5 changes accuracy on test by +0.10 points (95 % -0.98 to +1.18, 3 "
            "seeds); that took 4 students and 101 s of training: more seeds (--seeds) tell more, and until then "
            "training without the teacher will do",
        ),
        (
            [0.2],
            "not shown",
            "no gain shown here: hinton T 4 alpha 0.5 changes accuracy on test by +20.00 points in one seed, which may "
            "be chance; that took 4 students and 101 s of training: more seeds (--seeds) tell more, and until then "
            "training without the teacher will do",
        ),
        (
            [0.0, 0.0, 0.0],
            "not shown",
            "no gain shown here: hinton T 4 alpha 0.5 changes accuracy on test by +0.00 points",
        ),
    ],
)
def test_the_verdict_is_that_of_the_interval(differences: list[float], verdict: str, words: str) -> None:
    worth = judge_worth(result(differences))
    assert (worth["verdict"], worth["students"], worth["train_seconds"]) == (verdict, 4, 100.75)
    assert worth["sentence"].startswith(words)
    assert "\n" not in worth["sentence"]


def test_what_a_method_does_not_have_is_not_named() -> None:
    worth = judge_worth(result([0.01, 0.02, 0.03], "auc", method="pseudo", temperature=None))
    assert "pseudo alpha 0.5 changes AUC on test by +2.00 points (95 % -0.48 to +4.48, 3 seeds)" in worth["sentence"]
