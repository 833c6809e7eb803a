"""Which files of class folders are used, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.config.sections import UnlabelledSection
from kdcompress.data import Dataset, find_images, load_unlabelled, read_image
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here

ENDINGS = {
    "apng": "PNG", "jpe": "JPEG", "jfif": "JPEG", "JPG": "JPEG", "jp2": "JPEG2000", "j2k": "JPEG2000", "avif": "AVIF",
    "ppm": "PPM", "pgm": "PPM", "pnm": "PPM", "tga": "TGA", "dib": "DIB", "mpo": "MPO", "Tiff": "TIFF",
}  # fmt: skip


def count(data: Dataset, name: str) -> int:
    """The number of a class's images in all parts."""
    index = data.classes.index(name)
    return sum(int((part.labels == index).sum()) for part in data.parts.values())


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_of_a_supported_format_is_used(tmp_path: Path, recorder: Recorder, ending: str) -> None:
    kind = ENDINGS[ending]
    if kind not in (*Image.registered_extensions().values(), "MPO"):
        pytest.skip(f"this Pillow has no {kind}")
    pictures(tmp_path)
    for index in range(3):
        Image.new("RGB", (6, 8), (40 * index, 9, 9)).save(tmp_path / "cat" / f"more{index}.{ending}", kind)
    assert count(load("folder", recorder, dir=tmp_path), "cat") == 13
    assert not any("not used" in note for note in recorder.notes)
    image = read_image(tmp_path / "cat" / f"more2.{ending}", (8, 6, 3))
    assert image.reshape(-1, 3).mean(axis=0) == pytest.approx((80, 9, 9), abs=8)


def test_files_without_an_ending_are_used_if_they_are_images(tmp_path: Path, recorder: Recorder) -> None:
    pictures(tmp_path)
    for index, name in enumerate(("case0-0", "case0-1", "Screenshot 12.30.59", "image.0007")):
        picture(tmp_path / "x.png", 50 + index).rename(tmp_path / "cat" / name)
    (tmp_path / "cat" / "LICENSE").write_text("of no use")
    (tmp_path / "cat" / "empty").touch()
    assert count(load("folder", recorder, dir=tmp_path), "cat") == 14
    assert recorder.notes[0].endswith("2 files that are no images (cat/LICENSE, cat/empty)")


def test_other_files_are_counted_and_named(tmp_path: Path, recorder: Recorder) -> None:
    pictures(tmp_path)
    for index in range(30):
        (tmp_path / "cat" / f"{index:02}.heic").write_bytes(b"ftypheic")
    for name in ("a.txt", "b.txt", "c.json", "d.jpg_large", ".e.png", "._f.jpg"):
        (tmp_path / "dog" / name).write_text("hello")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", ".gitkeep"):
        (tmp_path / "dog" / name).write_text("hello")
    load("folder", recorder, dir=tmp_path)
    assert recorder.notes[0] == (
        f"not used of {tmp_path}: 34 files that are no images (.heic 30, .txt 2, .json 1 and 1 more endings; "
        "such as cat/00.heic), 2 hidden files (dog/._f.jpg, dog/.e.png)"
    )
    (tmp_path / "fox").mkdir()
    (tmp_path / "fox" / "a.heic").write_text("hello")
    with pytest.raises(DataError, match=r"fox holds no images \(.*\); not used: 1 file that is no image \(fox/a\.heic"):
        load("folder", dir=tmp_path)


def test_linked_folders_are_followed_once(tmp_path: Path, recorder: Recorder) -> None:
    root = pictures(tmp_path / "set")
    pictures(tmp_path / "elsewhere", classes=("far", "farther", "cow"), count=4)
    (tmp_path / "elsewhere" / "far" / "next").symlink_to(tmp_path / "elsewhere" / "farther")
    (root / "cat" / "more").symlink_to(tmp_path / "elsewhere" / "far")
    (root / "cat" / "twice").symlink_to(tmp_path / "elsewhere" / "far")
    (root / "cat" / "up").symlink_to(root)  # would make cats of dogs
    (root / "cat" / "loop").symlink_to("loop")
    (tmp_path / "elsewhere" / "farther" / "back").symlink_to(root / "cat")
    (root / "cow").symlink_to(tmp_path / "elsewhere" / "cow")
    data = load("folder", recorder, dir=root)
    assert {name: count(data, name) for name in data.classes} == {"cat": 18, "cow": 4, "dog": 10}
    assert "cat/more/next/case0-0.png" in {*data.train.ids.tolist(), *data.test.ids.tolist()}
    assert (
        "links to folders that contain them or are used already (cat/more/next/back, cat/twice, cat/up"
        in (recorder.notes[0])
    )
    assert "1 broken link (cat/loop)" in recorder.notes[0]


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints", ".thumbnails", "__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", ".git"]
)
def test_hidden_folders_are_not_entered_at_any_depth(tmp_path: Path, recorder: Recorder, name: str) -> None:
    pictures(tmp_path)
    expected = load("folder", dir=tmp_path).fingerprint
    for folder in (tmp_path, tmp_path / "cat", tmp_path / "cat" / "deeper"):
        picture(folder / name / "dog.png", 2001)
    assert load("folder", recorder, dir=tmp_path).fingerprint == expected
    assert f"not used of {tmp_path}: 2 hidden folders (cat/{name}, cat/deeper/{name})" in recorder.notes


def test_folders_that_may_not_be_read_are_named(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path)
    picture(tmp_path / "cat" / "closed" / "x.png", 5)
    scandir = os.scandir

    def guarded(path: Path) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("kdcompress.data.filesystem.os.scandir", guarded)
    load("folder", recorder, dir=tmp_path)
    assert "1 folder without permission to read it (cat/closed)" in recorder.notes[0]


def test_formats_without_a_signature_are_tried_on_their_own_endings_alone(tmp_path: Path) -> None:
    for ending, kind in (("tga", "TGA"), ("dib", "DIB")):
        path = tmp_path / f"a.{ending}"
        Image.new("RGB", (6, 8), (9, 99, 9)).save(path, kind)
        assert read_image(path, (8, 6, 3))[0, 0].tolist() == [9, 99, 9]
        path.rename(tmp_path / "a.png")
        with pytest.raises(DataError, match="no image that Pillow knows"):
            read_image(tmp_path / "a.png", (8, 6, 3))
        (tmp_path / "a.png").rename(tmp_path / "a")
        with pytest.raises(DataError, match="holds no images"):
            find_images([tmp_path])
        (tmp_path / "a").unlink()


def test_a_note_tells_what_is_not_used_of_unlabelled_images(tmp_path: Path, recorder: Recorder) -> None:
    data = load("folder", dir=pictures(tmp_path / "set"))
    picture(tmp_path / "more" / "a.jfif.png", 7)
    (tmp_path / "more" / "b.heic").write_text("hello")
    load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more")), data, recorder)
    assert f"not used of {tmp_path / 'more'}: 1 file that is no image (b.heic)" in recorder.notes


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (("train.X1", "train.X2", "train.X3"), "val.X"),
        (("training_set",), "test_set"),
        (("Train-Images",), "Validation-Images"),
        (("data_train",), "data_test"),
        (("train1", "train2"), "test1"),
        (("TRAIN",), "dev"),
    ],
)
def test_parts_under_other_names_are_no_classes(tmp_path: Path, train: tuple[str, ...], test: str) -> None:
    for number, name in enumerate(train):
        pictures(tmp_path / name, classes=(f"cat{number}", f"dog{number}"))
    pictures(
        tmp_path / test, classes=tuple(f"{kind}{number}" for kind in ("cat", "dog") for number in range(len(train)))
    )
    data = load("folder", dir=tmp_path)
    assert len(data.classes) == 2 * len(train)
    assert (len(data.train), len(data.test)) == (20 * len(train), 20 * len(train))


def test_folders_that_are_likely_parts_are_refused_as_classes(tmp_path: Path) -> None:
    pictures(tmp_path / "a" / "animals_train")
    pictures(tmp_path / "a" / "animals_test")
    with pytest.raises(DataError, match=r"animals_test/ and animals_train/, which would be classes; if they are parts"):
        load("folder", dir=tmp_path / "a")
    pictures(tmp_path / "b", classes=("test tube", "train station"))
    pictures(tmp_path / "c" / "train set", classes=("red", "blue"))  # of toys: no part, as images lie in it
    picture(tmp_path / "c" / "train set" / "x.png", 7)
    pictures(tmp_path / "c", classes=("plane",))
    assert load("folder", dir=tmp_path / "b").classes == ("test tube", "train station")
    assert load("folder", dir=tmp_path / "c").classes == ("plane", "train set")
