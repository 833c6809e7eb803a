"""Levels of agreement, worked out by hand."""

from __future__ import annotations

import numpy as np

from kdcompress.metrics.agreement import agreement_levels


def found(votes: list[list[int]]) -> list[tuple[str, list[int]]]:
    return [(name, rows.tolist()) for name, rows in agreement_levels(np.array(votes))]


def test_levels_go_from_the_least_to_the_most_agreed() -> None:
    votes = [[7, 0], [3, 4], [4, 3], [1, 6], [0, 7]]
    assert found(votes) == [("4/7", [1, 2]), ("6/7", [3]), ("7/7", [0, 4])]


def test_any_number_of_annotators_and_classes() -> None:
    votes = [[1, 1, 1], [2, 2, 0], [1, 1, 0], [5, 0, 0], [0, 0, 0], [0, 0, 1], [3, 1, 0]]
    # 1/2 and 2/4 are equal as fractions and stay apart, as do 1/1 and 5/5; the fifth image has no votes
    expected = [("1/3", [0]), ("1/2", [2]), ("2/4", [1]), ("3/4", [6]), ("1/1", [5]), ("5/5", [3])]
    assert found(votes) == expected


def test_without_any_votes_there_is_no_level() -> None:
    assert found([[0, 0], [0, 0]]) == []
