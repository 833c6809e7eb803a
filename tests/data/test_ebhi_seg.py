from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import Recorder
from own_images import load, picture
from PIL import Image

from kdcompress.config.recipe import resolve
from kdcompress.config.sections import SplitSection
from kdcompress.data import make_source
from kdcompress.data.sources.ebhi_seg import CLASSES, part_of
from kdcompress.errors import DataError, KDCompressError

WHOLE = os.environ.get("KDCOMPRESS_DATA_DIR")


def tiles(root: Path, ending: str = ".png", cases: int = 20, classes: tuple[str, ...] = CLASSES) -> Path:
    """Two tiles of each case in each class, in the published layout."""
    for number, kind in enumerate(classes):
        for case in range(cases):
            for tile in (1, 2):
                name = f"GT{case:03}-1-400-00{tile}"
                picture(root / kind / "image" / f"{name}{ending}", 10_000 * number + 10 * case + tile)
                mask = np.zeros((8, 6), np.uint8)
                mask[:4] = 255
                path = root / kind / "label" / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(path)
    return root


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_cases_stay_on_one_side_and_never_move(ending: str, tmp_path: Path) -> None:
    dataset = load("ebhi-seg", dir=tiles(tmp_path / "EBHI-SEG", ending).parent, classes=["Polyp", "Low-grade IN"])
    assert dataset.name == "ebhi-seg" and dataset.classes == ("Polyp", "Low-grade IN")
    for part in ("train", "test"):
        samples = dataset.parts[part]
        cases = [one.partition("/")[2].partition("-")[0] for one in samples.ids.tolist()]
        assert samples.groups is not None and samples.groups.tolist() == cases
        assert {part_of(case) for case in cases} == {part}
    assert len(dataset.train) + len(dataset.test) == 80
    assert dataset.test.ids[0].startswith("Polyp/GT") and dataset.test.ids[0].endswith(f"-1-400-001{ending}")


def test_the_part_of_a_case_is_a_hash_of_its_name() -> None:
    # sha256 modulo 5, by sha256sum and bc: 2, 3, 0, 0
    assert [part_of(case) for case in ("GT000", "GT001", "GT002", "GT003")] == ["train", "train", "test", "test"]
    share = np.mean([part_of(f"GT{number}") == "test" for number in range(5000)])
    assert share == pytest.approx(0.2, abs=0.02)


def test_all_six_classes_unless_some_are_chosen(tmp_path: Path) -> None:
    dataset = load("ebhi-seg", dir=tiles(tmp_path))
    assert dataset.classes == CLASSES
    assert np.bincount(np.append(dataset.train.labels, dataset.test.labels)).tolist() == [40] * 6


def test_the_same_name_in_two_classes_is_two_samples(tmp_path: Path) -> None:
    dataset = load("ebhi-seg", dir=tiles(tmp_path), classes=["Normal", "Polyp"])
    every = np.append(dataset.train.ids, dataset.test.ids)
    assert len(set(every.tolist())) == 80


def test_masks_are_had_by_the_id_of_a_sample(tmp_path: Path) -> None:
    source = make_source({"name": "ebhi-seg", "dir": str(tiles(tmp_path, ".jpg"))})
    mask = source.mask("Polyp/GT000-1-400-001.jpg")  # type: ignore[attr-defined]
    assert mask.dtype == bool and mask[:4].all() and not mask[4:].any()
    with pytest.raises(DataError, match=r"mask .*GT999.png is missing"):
        source.mask("Polyp/GT999.jpg")  # type: ignore[attr-defined]


def test_merged_classes_are_known_subclasses(tmp_path: Path, recorder: Recorder) -> None:
    from kdcompress.data import load_data

    merged = {"benign": CLASSES[:2], "neoplastic": ["Low-grade IN", "High-grade IN", "Adenocarcinoma"]}
    data = {"name": "ebhi-seg", "dir": str(tiles(tmp_path)), "classes": [c for one in merged.values() for c in one]}
    dataset = load_data(resolve("mnist", {"data": data, "superclasses": merged}), recorder)
    assert dataset.subclasses == tuple(tuple(one) for one in merged.values())
    assert dataset.train.subclasses is not None
    assert np.array_equal(dataset.train.labels, (dataset.train.subclasses >= 2).astype(int))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"classes": ["Polyp", "Polip"]},
            r"no class 'Polip' \(did you mean 'Polyp'\?\); choose data.classes from Normal",
        ),
        ({"classes": ["Polyp"]}, "one class alone"),
    ],
)
def test_wrong_classes_are_refused(settings: dict[str, list[str]], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load("ebhi-seg", dir=tiles(tmp_path), **settings)


def test_settings_that_have_no_say_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KDCompressError, match=r"data.test_fraction has no say: the test part of EBHI-Seg is fixed"):
        load("ebhi-seg", dir=tiles(tmp_path), test_fraction=0.4)
    with pytest.raises(DataError, match=r"data.classes names 'Polyp' twice"):
        load("ebhi-seg", dir=tmp_path, classes=["Polyp", "Polyp"])


def test_another_folder_is_told_what_was_expected(tmp_path: Path) -> None:
    picture(tmp_path / "cats" / "1.png", 0)
    with pytest.raises(DataError, match=r"no EBHI-Seg in .*expected Polyp/image/ .*10\.6084"):
        load("ebhi-seg", dir=tmp_path)
    (tmp_path / "Polyp").mkdir()
    (tmp_path / "Normal" / "image").mkdir(parents=True)
    with pytest.raises(DataError, match="Normal"):
        load("ebhi-seg", dir=tmp_path)


def test_a_truncated_tile_is_named(tmp_path: Path) -> None:
    bad = tiles(tmp_path) / "Polyp" / "image" / "GT000-1-400-001.png"
    bad.write_bytes(bad.read_bytes()[:60])
    with pytest.raises(DataError, match=r"GT000-1-400-001.png is truncated"):
        load("ebhi-seg", dir=tmp_path)


def test_get_says_where_it_is_had() -> None:
    with pytest.raises(KDCompressError, match=r"figshare, 10\.6084/m9\.figshare\.21540159"):
        make_source({"name": "ebhi-seg"}).download(Recorder())


@pytest.mark.skipif(not WHOLE or not (Path(WHOLE) / "ebhi-seg").is_dir(), reason="KDCOMPRESS_DATA_DIR has no ebhi-seg/")
def test_the_whole_set_is_what_its_owners_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcompress.data import split_dataset

    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(WHOLE))
    dataset = load("ebhi-seg")
    every = np.append(dataset.train.labels, dataset.test.labels)
    assert dict(zip(dataset.classes, np.bincount(every).tolist(), strict=True)) == {
        "Normal": 76, "Polyp": 474, "Low-grade IN": 637, "High-grade IN": 186, "Serrated adenoma": 58,
        "Adenocarcinoma": 795,
    }  # fmt: skip
    split = split_dataset(dataset, SplitSection(validation_fraction=0.15))
    parts = [set(part.groups.tolist()) for part in (split.train, split.val, split.test) if part.groups is not None]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 365
