"""Intervals of AUCs, against a slow loop over the same resamples and scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kdcompress.metrics.bootstrap import RESAMPLES, bootstrap_aucs, draw_resamples, weighted_aucs


def made_up(n: int = 120, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and logits in steps of a half: many are equal."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.35).astype(np.int64)
    logits = {}
    for role, strength in (("teacher", 1.5), ("student", 1.2), ("baseline", 0.7)):
        logits[role] = np.zeros((n, 2), np.float32)
        logits[role][:, 1] = np.round(2 * rng.normal(strength * labels, 1)) / 2
    return labels, logits


def test_it_is_what_a_slow_loop_over_the_same_resamples_finds() -> None:
    labels, logits = made_up()
    found = bootstrap_aucs(logits, labels)
    counts = np.concatenate(list(draw_resamples(labels)))
    slow: dict[str, list[float]] = {role: [] for role in logits}
    for row in counts:
        index = np.repeat(np.arange(len(labels)), row)
        for role, values in logits.items():
            slow[role].append(float(roc_auc_score(labels[index], values[index, 1])))
    for role, values in logits.items():
        assert found.aucs[role] == pytest.approx(roc_auc_score(labels, values[:, 1]))
        assert found.resamples[role] == pytest.approx(np.array(slow[role]))
        assert found.interval(role) == pytest.approx(tuple(np.percentile(slow[role], [2.5, 97.5])))
    paired = np.array(slow["student"]) - np.array(slow["teacher"])
    difference = found.difference("student", "teacher")
    assert difference is not None
    assert difference["value"] == pytest.approx(found.aucs["student"] - found.aucs["teacher"])
    assert (difference["low"], difference["high"]) == pytest.approx(tuple(np.percentile(paired, [2.5, 97.5])))


def test_ties_count_a_half() -> None:
    scores, labels = np.array([1.0, 1.0, 2.0, 0.0]), np.array([0, 1, 1, 0])
    once = np.ones((1, 4), np.int64)
    assert weighted_aucs(scores, labels, once).tolist() == [3.5 / 4]
    # The first twice, the last not at all: pairs (1, 1), (1, 1), (2, 1), (2, 1)
    assert weighted_aucs(scores, labels, np.array([[2, 1, 1, 0]])).tolist() == [3 / 4]


def test_each_class_keeps_its_size_in_every_resample() -> None:
    labels, _ = made_up()
    counts = np.concatenate(list(draw_resamples(labels)))
    assert counts.shape == (RESAMPLES, len(labels))
    assert set(counts[:, labels == 1].sum(axis=1)) == {int(labels.sum())}
    assert set(counts[:, labels == 0].sum(axis=1)) == {int((1 - labels).sum())}
    assert counts.mean(axis=0) == pytest.approx(np.ones(len(labels)), abs=0.15)


def test_groups_are_drawn_whole_and_both_classes_are_always_there() -> None:
    # Two groups of the first class alone, two of the second, one of both
    groups = np.array(["a", "a", "b", "c", "d", "d", "d", "e", "e"])
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1])
    counts = np.concatenate(list(draw_resamples(labels, groups)))
    assert counts.shape == (RESAMPLES, 9)
    for name in "abcde":
        own = counts[:, groups == name]
        assert (own == own[:, :1]).all()
        assert len(set(own[:, 0].tolist())) > 2  # no group is in every resample
    assert set(counts[:, [0, 2, 3, 4, 7]].sum(axis=1).tolist()) == {5}  # as many groups as there are
    assert (counts[:, labels == 1].sum(axis=1) > 0).all()
    assert (counts[:, labels == 0].sum(axis=1) > 0).all()


def test_a_group_that_alone_has_both_classes_does_not_hold_the_interval_still() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([f"case {number}" for number in range(16)], 6)
    labels = np.repeat([0] * 10 + [1] * 6, 6).astype(np.int64)
    labels[-3:] = 0  # the last case has both
    logits = np.stack([np.zeros(len(labels)), rng.normal(0.8 * labels, 1)], axis=1).astype(np.float32)
    low, high = bootstrap_aucs({"student": logits}, labels, groups).interval("student")
    naive_low, naive_high = bootstrap_aucs({"student": logits}, labels).interval("student")
    assert low is not None and high is not None and naive_low is not None and naive_high is not None
    assert high - low > 0.7 * (naive_high - naive_low)


def test_few_groups_of_a_class_have_no_interval() -> None:
    labels, logits = made_up(60)
    groups = np.where(labels == 1, np.arange(60) % 4, np.arange(60)).astype(str)
    assert bootstrap_aucs(logits, labels, groups).interval("student") == (None, None)


def test_images_that_are_alike_make_the_interval_wider() -> None:
    labels, logits = made_up(60)
    repeated = {role: np.repeat(values, 6, axis=0) for role, values in logits.items()}
    groups = np.repeat([f"case {i}" for i in range(60)], 6)
    alone, whole = bootstrap_aucs(logits, labels), bootstrap_aucs(repeated, np.repeat(labels, 6), groups)
    naive = bootstrap_aucs(repeated, np.repeat(labels, 6))
    assert (alone.unit, whole.unit) == ("images", "groups")

    def width(found: tuple[float | None, float | None]) -> float:
        low, high = found
        assert low is not None
        assert high is not None
        return high - low

    # Six copies of a case say no more than one; taken for six images they would seem to
    assert width(whole.interval("student")) == pytest.approx(width(alone.interval("student")), rel=0.1)
    assert width(naive.interval("student")) < 0.6 * width(whole.interval("student"))


def test_it_covers_what_is_true() -> None:
    # Normal scores a unit apart: AUC = Phi(1 / sqrt 2) = 0.7602
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], [60, 40])
        scores = np.stack([np.zeros(100), rng.normal(labels, 1)], axis=1).astype(np.float32)
        low, high = bootstrap_aucs({"student": scores}, labels).interval("student")
        assert low is not None
        assert high is not None
        inside += low < 0.7602 < high
    assert 52 <= inside <= 60


def test_the_same_every_time() -> None:
    labels, logits = made_up()
    assert bootstrap_aucs(logits, labels).interval("teacher") == bootstrap_aucs(dict(logits), labels.copy()).interval(
        "teacher"
    )


def test_what_cannot_vary_has_no_interval() -> None:
    labels, logits = made_up()
    one = np.where(np.arange(len(labels)) == np.flatnonzero(labels)[0], 1, 0)
    assert bootstrap_aucs(logits, one).interval("student") == (None, None)
    assert bootstrap_aucs(logits, one).aucs["student"] is not None
    in_one_group = np.where(labels == 1, "a", np.arange(len(labels)).astype(str))
    found = bootstrap_aucs(logits, labels, in_one_group)
    assert found.interval("student") == (None, None)
    difference = found.difference("student", "teacher")
    assert difference is not None
    assert (difference["low"], difference["high"]) == (None, None)
    assert bootstrap_aucs(logits, np.zeros_like(labels)).difference("student", "teacher") is None
    assert found.difference("student", "nobody") is None


def test_a_thousand_images_take_well_under_two_seconds() -> None:
    labels, logits = made_up(1000)
    bootstrap_aucs(logits, labels)
    start = time.perf_counter()
    bootstrap_aucs(logits, labels)
    assert time.perf_counter() - start < 2


def test_a_perfect_ranking_is_not_called_certain() -> None:
    labels = np.repeat([0, 1], 4)
    logits = {"student": np.stack([np.zeros(8), labels * 2.0 - 1], axis=1).astype(np.float32)}
    found = bootstrap_aucs(logits, labels)
    assert found.aucs["student"] == 1.0
    assert found.interval("student") == (None, None)
