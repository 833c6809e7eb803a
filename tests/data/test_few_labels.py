from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder

from kdcompress.config.recipe import resolve
from kdcompress.config.sections import SplitSection
from kdcompress.data import UNLABELLED, Dataset, split_dataset
from kdcompress.errors import DataError, KDCompressError, RecipeError
from kdcompress.pipeline.data import RecipeData, describe_labels


def few(count: int, **settings: Any) -> SplitSection:
    return SplitSection(validation_fraction=0.1, labels_per_class=count, **settings)


def test_each_class_keeps_as_many_labels_and_the_rest_loses_them(digits: Dataset) -> None:
    whole, split = split_dataset(digits, SplitSection(validation_fraction=0.1)), split_dataset(digits, few(9))
    assert split.rest is not None
    assert np.bincount(split.train.labels).tolist() == [9] * 10
    assert set(split.rest.labels.tolist()) == {UNLABELLED}
    assert sorted([*split.train.ids, *split.rest.ids]) == sorted(whole.train.ids)
    row = whole.train.ids.tolist().index(split.rest.ids[5])
    assert np.array_equal(split.rest.images[5], whole.train.images[row])
    # 90 of 3,600 images keep theirs, so 1 of 40 in validation
    assert np.bincount(split.val.labels).tolist() == [1] * 10
    assert set(split.val.ids) <= set(whole.val.ids)
    assert split.test is digits.test
    assert split.with_labels("all").fingerprint == whole.fingerprint != split.fingerprint
    assert np.bincount(split_dataset(digits, few(90)).val.labels).tolist() == [10] * 10


def test_labels_are_drawn_by_their_own_seed_and_more_contain_fewer(digits: Dataset) -> None:
    one, again, other, more = (split_dataset(digits, s) for s in (few(5), few(5), few(5, labels_seed=1), few(20)))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert set(one.train.ids) < set(more.train.ids)
    assert set(one.train.ids) != set(other.train.ids)
    assert one.with_labels("all").fingerprint == other.with_labels("all").fingerprint


def test_what_annotators_said_goes_with_the_label(digits: Dataset) -> None:
    train = digits.train
    rich = dataclasses.replace(train, subclasses=train.labels, soft_labels=np.eye(10, dtype=np.float32)[train.labels])
    rest = split_dataset(dataclasses.replace(digits, train=rich), few(9)).rest
    assert rest is not None and rest.subclasses is rest.soft_labels is rest.votes is None


def test_more_labels_than_a_class_has_are_refused(digits: Dataset) -> None:
    with pytest.raises(DataError, match=r"split.labels_per_class is 361, and class 0 has 360 images to train on; take"):
        split_dataset(digits, few(361))
    assert split_dataset(digits, few(360)).rest is None


def load(recorder: Recorder, **settings: Any) -> RecipeData:
    return RecipeData(resolve("mnist-demo", {f"split.{key}": value for key, value in settings.items()}), recorder)


def test_the_rest_is_learned_from_or_left_out_at_as_many_steps(recorder: Recorder) -> None:
    n = len(load(recorder).split.train)
    data = load(recorder, labels_per_class=10)
    assert (len(data.transfer), data.draws, data.facts["n_unlabelled"]) == (n, n, n - 100)
    assert "100 to train on, 10 of each class, and" in describe_labels(data)
    assert describe_labels(data).endswith(f"{n - 100:,} further images have none")
    without = load(recorder, labels_per_class=10, rest="left out")
    assert (len(without.transfer), without.draws, without.unlabelled) == (100, n, None)
    assert "n_unlabelled" not in without.facts
    assert describe_labels(without).endswith("further images are left out")


def test_further_images_come_behind_the_rest(recorder: Recorder, tmp_path: Path, digits: Dataset) -> None:
    np.save(tmp_path / "x.npy", digits.test.images[:7, ..., 0])
    recipe = resolve("mnist-demo", {"split.labels_per_class": 10, "unlabelled.dir": str(tmp_path)})
    data = RecipeData(recipe, recorder)
    assert data.unlabelled is not None and data.split.rest is not None
    assert len(data.unlabelled) == len(data.split.rest) + 7
    assert np.array_equal(data.unlabelled.images[-7:][..., 0], digits.test.images[:7, ..., 0])


def test_a_recipe_without_it_is_written_as_before() -> None:
    plain = resolve("mnist").to_dict()
    assert set(plain["split"]) == {"validation_fraction", "seed"} and "labels" not in plain["teacher"]
    few_labels = resolve("mnist", {"split.labels_per_class": 3, "split.rest": "left out", "teacher.labels": "all"})
    assert few_labels.to_dict()["split"]["rest"] == "left out"
    assert resolve(few_labels.to_dict()).digest == few_labels.digest != resolve("mnist").digest


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split.rest": "left out"}, "rest goes with labels_per_class, which is missing"),
        ({"split.labels_seed": 3}, "labels_seed goes with labels_per_class, which is missing"),
        ({"split.labels_per_class": 0}, "split.labels_per_class must be >= 1, got 0"),
        ({"split.labels_per_class": 9, "split.rest": "dropped"}, "split.rest must be one of"),
        ({"split.labels_per_class": 9, "teacher.labels": "some"}, "teacher.labels must be one of"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        resolve("mnist", settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method.alpha": 0.0}, "take another method than hinton or alpha > 0, or set split.rest = 'left out'"),
        ({"training.batches": "balanced"}, "needs a label for every image"),
        ({"method.name": "dkd"}, "method dkd needs a label for every image: take another method, or set split.rest"),
    ],
)
def test_methods_that_need_every_label_say_what_to_set(
    settings: dict[str, Any], words: str, recorder: Recorder
) -> None:
    from kdcompress.pipeline.experiment import Experiment
    from kdcompress.pipeline.validation import validate_training_config

    recipe = resolve("mnist-demo", {"split.labels_per_class": 9, **settings})
    with pytest.raises(KDCompressError, match=words):
        validate_training_config(Experiment(recipe, RecipeData(recipe, recorder)))
