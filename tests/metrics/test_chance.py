from __future__ import annotations

import numpy as np
import pytest

from kdcompress.metrics.chance import imbalance, is_at_chance, largest_share, roles_at_chance

LABELS = np.repeat([0, 1], [900, 100])


def two_class(margins: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros(len(margins)), margins], axis=1).astype(np.float32)


def one_hot(answers: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[answers]


def test_a_constant_answer_is_at_chance_whichever_it_is() -> None:
    assert largest_share(LABELS) == 0.9
    for answer in (0, 1):
        assert is_at_chance(one_hot(np.full(1000, answer), 2), LABELS)


def test_so_are_random_answers() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 1000)
    found = [is_at_chance(rng.normal(size=(1000, 10)).astype(np.float32), labels) for _ in range(100)]
    assert np.mean(found) > 0.85  # two tests at 5 % each


def test_a_model_that_is_right_more_often_is_not() -> None:
    labels = np.arange(1000) % 10
    answers = np.where(np.arange(1000) % 7 == 0, labels, (labels + 1 + np.arange(1000) % 9) % 10)
    assert 0.13 < np.mean(answers == labels) < 0.16
    assert not is_at_chance(one_hot(answers, 10), labels)


def test_nor_is_one_that_ranks_rare_images_well_but_never_answers_them() -> None:
    margins = np.random.default_rng(0).normal(-9, 1, 1000) + LABELS
    assert not is_at_chance(two_class(margins), LABELS)
    assert is_at_chance(two_class(margins - LABELS), LABELS)


def test_nor_one_that_finds_rare_classes_at_the_cost_of_the_frequent_one() -> None:
    answers = np.where(np.arange(1000) % 3 == 0, 1 - LABELS, LABELS)
    assert np.mean(answers == LABELS) < 0.9
    assert not is_at_chance(one_hot(answers, 2), LABELS)


def test_few_images_and_nan_show_nothing() -> None:
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    assert is_at_chance(one_hot(np.array([0, 1, 0, 1, 0, 1, 1, 0, 1, 0]), 2), labels)  # 6 of 10
    assert not is_at_chance(one_hot(labels, 2), labels)
    assert is_at_chance(np.full((10, 2), np.nan, np.float32), labels)
    assert not is_at_chance(one_hot(np.zeros(10, int), 2), np.zeros(10, int))  # one class alone shows nothing


def test_roles_are_told_apart() -> None:
    bad, good = one_hot(np.zeros(1000, int), 2), one_hot(LABELS, 2)
    assert roles_at_chance({"teacher": bad, "student": good, "baseline": bad}, LABELS) == ["baseline"]


@pytest.mark.parametrize(("counts", "ratio"), [([500, 100], "5 to 1"), ([499, 100], None), ([10, 3, 90], "30 to 1")])
def test_a_strong_imbalance(counts: list[int], ratio: str | None) -> None:
    labels = np.concatenate([np.repeat(np.arange(len(counts)), counts), [-1] * 900])
    text = imbalance(labels, ["a", "b", "c"])
    assert (text is None) == (ratio is None)
    if ratio:
        assert text is not None
        assert f"({ratio}); training.class_weights" in text
    assert imbalance(np.zeros(9, int), ["a", "b"]) is None
