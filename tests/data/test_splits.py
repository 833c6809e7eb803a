from __future__ import annotations

import numpy as np
import pytest

from kdcompress.config.sections import SplitSection
from kdcompress.data import Dataset, split_dataset
from kdcompress.errors import DataError


def test_validation_comes_from_train_stratified_and_test_stays_whole(digits: Dataset) -> None:
    split = split_dataset(digits, SplitSection(validation_fraction=0.1))
    assert (len(split.train), len(split.val), len(split.test)) == (3600, 400, 1000)
    assert np.bincount(split.val.labels).tolist() == [40] * 10
    assert not set(split.train.ids) & set(split.val.ids)
    assert set(split.train.ids) | set(split.val.ids) == set(digits.train.ids)
    row = list(digits.train.ids).index(split.val.ids[7])
    assert np.array_equal(digits.train.images[row], split.val.images[7])
    assert digits.train.labels[row] == split.val.labels[7]


def test_the_split_has_its_own_seed(digits: Dataset) -> None:
    one, again, other = (split_dataset(digits, SplitSection(seed=seed)) for seed in (0, 0, 1))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert one.val.ids.tolist() == again.val.ids.tolist() != other.val.ids.tolist()


def test_limit_takes_a_stratified_part_of_train(digits: Dataset) -> None:
    split = split_dataset(digits, SplitSection(limit=500, validation_fraction=0.1))
    assert (len(split.train), len(split.val), len(split.test)) == (450, 50, 1000)
    assert np.bincount(split.train.labels).tolist() == [45] * 10
    more = split_dataset(digits, SplitSection(limit=10**9))
    assert more.fingerprint == split_dataset(digits, SplitSection()).fingerprint


@pytest.mark.parametrize("limit", [3991, 3999, 123])
def test_any_limit_is_met_to_the_image(digits: Dataset, limit: int) -> None:
    split = split_dataset(digits, SplitSection(limit=limit, validation_fraction=0.1))
    assert len(split.train) + len(split.val) == limit
    counts = np.bincount(np.concatenate([split.train.labels, split.val.labels]))
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("limit", [1, 12, 19])
def test_too_few_images_for_the_classes(digits: Dataset, limit: int) -> None:
    with pytest.raises(DataError, match="classes"):
        split_dataset(digits, SplitSection(limit=limit))
