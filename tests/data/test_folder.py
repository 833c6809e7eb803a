"""Class folders: parts, groups, classes, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.config.sections import SplitSection
from kdcompress.data import FileImages, split_dataset
from kdcompress.errors import DataError, RecipeError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


def test_class_folders_with_parts(tmp_path: Path) -> None:
    for part, offset in (("train", 0), ("val", 50), ("test", 100)):
        for number, name in enumerate(("cat", "dog")):
            for index in range(3):
                picture(tmp_path / part / name / f"{index}.png", offset + 10 * number + index)
    data = load("folder", dir=tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.input_shape == (8, 6, 3)
    assert data.train.ids.tolist()[:3] == ["train/cat/0.png", "train/cat/1.png", "train/cat/2.png"]
    assert data.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert isinstance(data.train.images, FileImages)
    for samples in data.parts.values():
        for row, name in enumerate(samples.ids.tolist()):
            assert np.array_equal(samples.images[[row]][0], np.asarray(Image.open(tmp_path / name)))
    split = split_dataset(data, SplitSection())
    assert split.val.ids.tolist() == data.val.ids.tolist()  # type: ignore[union-attr]
    assert len(split.train) == 6
    assert data.notice is None


def test_without_a_test_part_one_is_carved_and_stays(tmp_path: Path, recorder: Recorder) -> None:
    pictures(tmp_path, count=20)
    data = load("folder", recorder, dir=tmp_path)
    assert (len(data.train), len(data.test)) == (32, 8)
    assert np.bincount(data.test.labels).tolist() == [4, 4]
    assert not set(data.train.ids) & set(data.test.ids)
    assert "8 of 40 images are kept for it" in recorder.notes[0]
    assert load("folder", dir=tmp_path).test.ids.tolist() == data.test.ids.tolist()
    assert load("folder", dir=tmp_path, split_seed=1).test.ids.tolist() != data.test.ids.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_groups_never_straddle_a_split(tmp_path: Path, seed: int) -> None:
    pictures(tmp_path, count=24)
    data = load("folder", dir=tmp_path, group=r"([^/-]+)-[^/]*$", split_seed=seed)
    split = split_dataset(data, SplitSection(validation_fraction=0.25, seed=seed))
    parts = [set(samples.groups.tolist()) for samples in (split.train, split.val, split.test)]  # type: ignore[union-attr]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 12
    for samples in (split.train, split.val, split.test):
        assert set(samples.labels.tolist()) == {0, 1}
    assert len(split.test) == 8  # 2 of 12 groups, of 4 images each


def test_a_group_pattern_that_does_not_fit_is_told(tmp_path: Path) -> None:
    pictures(tmp_path)
    with pytest.raises(DataError, match=r"matches nothing in 'cat/case0-0\.png'"):
        load("folder", dir=tmp_path, group="patient([0-9]+)")
    with pytest.raises(RecipeError, match=r"data\.group must be a regular expression"):
        load("folder", dir=tmp_path, group="(")
    with pytest.raises(DataError, match="all images are of one group"):
        load("folder", dir=tmp_path, group="(case)")


@pytest.mark.parametrize("change", ["rename", "add", "remove", "swap"])
def test_other_files_are_another_split(tmp_path: Path, change: str) -> None:
    """Targets are kept under the split's fingerprint: none of these may find those of before."""
    pictures(tmp_path)
    before = split_dataset(load("folder", dir=tmp_path), SplitSection(validation_fraction=0.2)).fingerprint
    cat = tmp_path / "cat"
    if change == "rename":
        for path in sorted(cat.iterdir(), reverse=True):
            path.rename(cat / f"new-{path.name}")
    elif change == "add":
        picture(cat / "another.png", 99)
    elif change == "remove":
        (cat / "case0-0.png").unlink()
    else:
        a, b, c = cat / "case0-0.png", cat / "case0-1.png", cat / "tmp"
        a.rename(c)
        b.rename(a)
        c.rename(b)
    data = load("folder", dir=tmp_path)
    assert split_dataset(data, SplitSection(validation_fraction=0.2)).fingerprint != before


def test_class_folders_that_are_wrong(tmp_path: Path) -> None:
    pictures(tmp_path / "one", classes=("cat",))
    with pytest.raises(DataError, match=r"holds one class alone \(cat\)"):
        load("folder", dir=tmp_path / "one")
    (tmp_path / "one" / "dog").mkdir()
    with pytest.raises(DataError, match=r"class folder .*dog holds no images .*; fill it or delete it"):
        load("folder", dir=tmp_path / "one")
    pictures(tmp_path / "two", classes=("cat", "Cat "))
    with pytest.raises(DataError, match="two classes have the same name but for its spelling: 'Cat ' and 'cat'"):
        load("folder", dir=tmp_path / "two")
    picture(tmp_path / "loose" / "a.png", 1)
    with pytest.raises(DataError, match="holds images, but no class folders"):
        load("folder", dir=tmp_path / "loose")
    pictures(tmp_path / "parts" / "train")
    pictures(tmp_path / "parts" / "test", classes=("cat", "fox"))
    with pytest.raises(DataError, match="class fox is in test, but train has no image of it"):
        load("folder", dir=tmp_path / "parts")
    with pytest.raises(DataError, match="does not exist"):
        load("folder", dir=tmp_path / "nowhere")
    with pytest.raises(RecipeError, match=r"data\.dir is missing"):
        load("folder")


def test_classes_can_be_chosen_and_ordered(tmp_path: Path) -> None:
    pictures(tmp_path, classes=("ant", "bee", "cow"))
    data = load("folder", dir=tmp_path, classes=["cow", "ant"])
    assert data.classes == ("cow", "ant")
    assert {name.split("/")[0] for name in data.train.ids} == {"cow", "ant"}
    assert all(
        (name[:3] == "ant") == bool(label) for name, label in zip(data.train.ids, data.train.labels, strict=True)
    )
    with pytest.raises(DataError, match=r"has no class 'bea' \(did you mean 'bee'\?\); it has ant, bee, cow"):
        load("folder", dir=tmp_path, classes=["ant", "bea"])


def test_the_same_image_in_train_and_test_is_reported_with_names(tmp_path: Path) -> None:
    pictures(tmp_path / "train")
    pictures(tmp_path / "test", count=3, size=(8, 6))
    for name in ("cat", "dog"):
        for index in range(3):
            picture(tmp_path / "test" / name / f"case{index // 2}-{index}.png", 5000 + index + 10 * (name == "dog"))
    assert load("folder", dir=tmp_path).notice is None
    picture(tmp_path / "test" / "dog" / "again.png", 1003)
    picture(tmp_path / "train" / "cat" / "dog too.png", 1004)
    notice = load("folder", dir=tmp_path).notice or ""
    assert "1 image is in train and in test: train/dog/case1-3.png = test/dog/again.png: figures on test" in notice
    assert "1 image is in train under two labels: train/cat/dog too.png = train/dog/case2-4.png" in notice


def test_part_folders_that_are_spelt_otherwise_are_not_taken_for_classes(tmp_path: Path, recorder: Recorder) -> None:
    pictures(tmp_path / "trian")
    pictures(tmp_path / "test")
    with pytest.raises(DataError, match=r"holds test/ but no train/ \(there: test, trian\); is train/ spelt otherwise"):
        load("folder", dir=tmp_path)
    (tmp_path / "trian").rename(tmp_path / "train")
    pictures(tmp_path / "extra")
    picture(tmp_path / "train" / "loose.png", 3)
    load("folder", recorder, dir=tmp_path)
    assert "not used of" in recorder.notes[0]
    assert "extra/" in recorder.notes[0]
    assert "loose.png" in recorder.notes[0]
    with pytest.raises(DataError, match=r"holds one class alone \(inner\); is it .*inner that is meant"):
        pictures(tmp_path / "outer" / "inner")
        load("folder", dir=tmp_path / "outer")


def test_classes_that_test_lacks_and_a_single_image_are_told(tmp_path: Path) -> None:
    pictures(tmp_path / "a" / "train")
    picture(tmp_path / "a" / "test" / "cat" / "x.png", 999)
    assert load("folder", dir=tmp_path / "a").notice == "test has no image of class dog: nothing will be known of it"
    pictures(tmp_path / "b")
    picture(tmp_path / "b" / "fox" / "x.png", 998)
    with pytest.raises(DataError, match="class fox has 1 images; it needs two or more"):
        load("folder", dir=tmp_path / "b")


@pytest.mark.parametrize("names", [("fold1", "fold2", "fold3"), ("left", "right"), ("hospital a", "hospital b")])
def test_folders_that_all_class_folders_have_may_be_the_classes(
    tmp_path: Path, recorder: Recorder, names: tuple[str, ...]
) -> None:
    for number, top in enumerate(names):
        pictures(tmp_path / top, seed=100_000 * (number + 1))
    data = load("folder", recorder, dir=tmp_path)
    assert data.classes == names
    assert recorder.warnings == [
        f"{tmp_path}: the classes are {', '.join(names)}, and each holds the same folders (cat, dog); if those are the "
        "classes, put them into train/ and test/"
    ]


@pytest.mark.parametrize("change", ["an image beside", "another folder", "one folder alone"])
def test_folders_within_classes_that_are_no_classes(tmp_path: Path, recorder: Recorder, change: str) -> None:
    for number, name in enumerate(("cat", "dog")):
        pictures(
            tmp_path / name, seed=100_000 * (number + 1), classes=("a",) if change == "one folder alone" else ("a", "b")
        )
    if change == "an image beside":
        picture(tmp_path / "cat" / "x.png", 1)
    elif change == "another folder":
        picture(tmp_path / "cat" / "c" / "x.png", 1)
    assert load("folder", recorder, dir=tmp_path).classes == ("cat", "dog")
    assert not recorder.warnings
