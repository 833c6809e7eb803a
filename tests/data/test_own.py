"""Image folders, CSV files and arrays of one's own: what they load as, and what is refused by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import other_models
import pytest
from conftest import Recorder
from PIL import Image

from kdcompress.data import Dataset, FileImages, LazyImages, MappedImages, make_source, split_dataset
from kdcompress.errors import DataError, RecipeError
from kdcompress.sections import SplitSection


@pytest.fixture(autouse=True)
def _cache_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests take their whole folder for a data set."""
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def picture(path: Path, seed: int, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """A random image of (height, width), the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def pictures(root: Path, count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), **how: Any) -> Path:
    for number, name in enumerate(classes):
        for index in range(count):
            picture(root / name / f"case{index // 2}-{index}.png", 1000 * number + index, **how)
    return root


def load(name: str, recorder: Recorder | None = None, **settings: Any) -> Dataset:
    return make_source({"name": name, **{k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}}).load(
        recorder or Recorder()
    )


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


def test_modes_sizes_and_turned_photographs(tmp_path: Path) -> None:
    grey = pictures(tmp_path / "grey", mode="L")
    assert load("folder", dir=grey).input_shape == (8, 6, 1)
    assert load("folder", dir=grey, colour="rgb").input_shape == (8, 6, 3)
    picture(grey / "cat" / "colour.png", 77)
    assert load("folder", dir=grey).input_shape == (8, 6, 3)
    assert load("folder", dir=grey, colour="grey", size=[4, 12]).input_shape == (4, 12, 1)
    picture(grey / "cat" / "big.png", 78, size=(16, 20))
    with pytest.raises(DataError, match=r"of different sizes \(8x6 to 16x20\).*data\.size = 224"):
        load("folder", dir=grey)
    turned = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # stands on its side
    turned.save(grey / "cat" / "turned.jpg", exif=exif, quality=95)
    data = load("folder", dir=grey, size=8)
    assert data.input_shape == (8, 8, 3)
    pixels = data.train.images
    assert isinstance(pixels, LazyImages)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_every_format_is_read(tmp_path: Path, ending: str) -> None:
    smooth = np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8)
    for name in ("a", "b"):
        for index in range(5):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.roll(smooth, index, 0)).save(tmp_path / name / f"{index}{ending}")
    data = load("folder", dir=tmp_path, colour="grey")
    first = data.train.ids.tolist()[0]
    shown = np.roll(smooth, int(first[2]), 0)
    assert data.train.images[[0]][0, :, :, 0] == pytest.approx(shown, abs=40)


def test_deep_and_odd_images_become_8_bits(tmp_path: Path) -> None:
    pictures(tmp_path, mode="L")
    deep = np.linspace(0, 65535, 48).reshape(8, 6).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "cat" / "deep.png")
    picture(tmp_path / "cat" / "clear.png", 5, mode="RGBA")
    Image.new("CMYK", (6, 8), (10, 20, 30, 40)).save(tmp_path / "cat" / "print.jpg")
    data = load("folder", dir=tmp_path, colour="grey", test_fraction=0.2)
    both = [(i, s) for s in (data.train, data.test) for i, n in enumerate(s.ids) if n == "cat/deep.png"]
    (row, samples) = both[0]
    assert np.array_equal(samples.images[[row]][0, :, :, 0], (deep // 257).astype(np.uint8))
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "cat" / "float.tif")
    with pytest.raises(DataError, match=r"float\.tif holds floating-point numbers"):
        load("folder", dir=tmp_path, colour="grey")


def truncated(path: Path) -> None:
    content = picture(path, 9, size=(64, 64)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def bomb(path: Path) -> None:
    Image.new("1", (20000, 10000)).save(path)


def no_pixels(path: Path) -> None:
    Image.new("RGB", (2, 2)).save(path, "BMP")
    content = bytearray(path.read_bytes())
    content[18:22] = bytes(4)  # the width
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, r"bad\.png is truncated, damaged or no image \(.*truncated"),
        (bomb, r"bad\.png is (10000x20000, above|truncated, damaged or no image \(Image size)"),
        (no_pixels, r"bad\.png (has no pixels|is truncated)"),
        (lambda path: path.write_text("hello"), r"bad\.png is truncated, damaged or no image \(no image that Pillow"),
        (lambda path: path.write_bytes(b""), r"bad\.png is truncated, damaged or no image"),
    ],
)
def test_bad_images_are_told_by_name_before_anything_is_trained(tmp_path: Path, damage: Any, words: str) -> None:
    pictures(tmp_path)
    damage(tmp_path / "dog" / "bad.png")
    for _ in range(2):  # it is not remembered as good
        with pytest.raises(DataError, match=words) as caught:
            load("folder", dir=tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / "dog" / "bad.png").unlink()
    load("folder", dir=tmp_path)


def test_many_bad_images_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path)
    for index in range(8):
        (tmp_path / "dog" / f"bad{index}.png").write_text("hello")
    with pytest.raises(DataError, match=r"8 images cannot be used: .*bad0\.png.*bad4\.png.*; and 3 more; mend them"):
        load("folder", dir=tmp_path)


def test_images_are_decoded_once_and_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcompress.data import _index

    pictures(tmp_path)
    looked: list[str] = []
    look_at = _index.look_at
    monkeypatch.setattr(_index, "look_at", lambda path, data: (looked.append(path.name), look_at(path, data))[1])
    first = load("folder", dir=tmp_path)
    assert len(looked) == 20
    assert load("folder", dir=tmp_path).fingerprint == first.fingerprint
    assert len(looked) == 20
    path = tmp_path / "dog" / "case1-3.png"
    content = path.read_bytes()
    picture(path, 4711)
    assert load("folder", dir=tmp_path).fingerprint != first.fingerprint
    assert looked[20:] == ["case1-3.png"]
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert load("folder", dir=tmp_path).fingerprint == first.fingerprint


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


CSV_ROWS = [f"img/{name}{index}.png,{name},{index // 2}" for name in ("cat", "dog") for index in range(10)]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for number, row in enumerate(CSV_ROWS):
        picture(tmp_path / row.split(",")[0], number)
    return tmp_path


def write(
    folder: Path, rows: list[str], header: str = "path,label,group", name: str = "labels.csv", **how: Any
) -> Path:
    (folder / name).write_text("\n".join([header, *rows]) + "\n", **how)
    return folder / name


def test_a_csv_file_says_what_is_what(listed: Path) -> None:
    file = write(listed, CSV_ROWS)
    data = load("csv", file=file)
    assert data.classes == ("cat", "dog")
    assert data.train.ids[0].startswith("img/cat")
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())  # type: ignore[union-attr]
    assert load("csv", dir=listed).fingerprint == data.fingerprint
    parts = [f"{row.rsplit(',', 1)[0]},{'Test' if index % 5 == 0 else 'TRAIN'}" for index, row in enumerate(CSV_ROWS)]
    file = write(listed, parts, "path,label,partition", encoding="utf-8-sig", newline="\r\n")
    assert (len(load("csv", file=file).train), len(load("csv", file=file).test)) == (16, 4)
    renamed = write(listed, [row.replace(",", ";") for row in parts], "Bild;Klasse;Teil", name="de.csv")
    data = load("csv", file=renamed, path="Bild", label="Klasse", partition="Teil")
    assert len(data.test) == 4


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (
            lambda rows: rows,
            {"label": "lable"},
            r"has no column 'lable' \(did you mean 'label'\?\); it has path, label",
        ),
        (lambda rows: rows, {"partition": "fold"}, r"has no column 'fold'.*name the right one with data\.partition"),
        (lambda rows: [*rows, rows[3]], {}, r"img/cat3\.png stands in line 5 and again in line 22"),
        (lambda rows: ["../secret.png,cat,1", *rows], {}, r"labels\.csv, line 2: \.\./secret\.png leaves the folder"),
        (lambda rows: ["/etc/hostname.png,cat,1", *rows], {}, r"line 2: /etc/hostname\.png leaves the folder"),
        (lambda rows: [*rows, "img/none.png,cat,1"], {}, r"do not exist below .*: img/none\.png \(line 22\)"),
        (lambda rows: [*rows, "img/cat0.png"], {}, r"line 22: not as many fields as the header's 3"),
        (lambda rows: [*rows, "img/cat0.png,,1"], {}, r"line 22: column 'label' is empty"),
        (lambda rows: [*rows, ",cat,1"], {}, r"line 22: the path is empty"),
        (lambda rows: [], {}, "has a header and no rows"),
        (lambda rows: rows[:10], {}, "holds one class alone"),
    ],
)
def test_csv_files_that_are_wrong(listed: Path, change: Any, settings: dict[str, Any], words: str) -> None:
    file = write(listed, change(CSV_ROWS))
    with pytest.raises(DataError, match=words) as caught:
        load("csv", file=file, **settings)
    assert "\n" not in str(caught.value)


def test_partitions_that_are_wrong(listed: Path) -> None:
    rows = [row.rsplit(",", 1)[0] for row in CSV_ROWS]
    file = write(
        listed, [f"{row},{'train' if index else 'holdout'}" for index, row in enumerate(rows)], "path,label,partition"
    )
    with pytest.raises(DataError, match="line 2: a partition is train, val or test, got 'holdout'"):
        load("csv", file=file)
    file = write(
        listed, [f"{row},{'train' if index else ''}" for index, row in enumerate(rows)], "path,label,partition"
    )
    with pytest.raises(DataError, match="line 2: column 'partition' is empty, and is filled in other rows"):
        load("csv", file=file)
    write(listed, CSV_ROWS, name="second.csv")
    with pytest.raises(DataError, match=r"must hold one CSV file \(there: labels\.csv, second\.csv\)"):
        load("csv", dir=listed)
    with pytest.raises(DataError, match=r"name the CSV file with data\.file"):
        load("csv")


def arrays(n: int = 40, shape: tuple[int, ...] = (8, 6), seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.integers(0, 256, (n, *shape), np.uint8), "y": np.arange(n) % 4}


def test_arrays_stay_on_disk_and_are_what_they_are(tmp_path: Path) -> None:
    made = arrays()
    np.savez(tmp_path / "a.npz", **made)
    np.savez_compressed(tmp_path / "packed.npz", **made)
    (tmp_path / "npy").mkdir()
    for name, value in made.items():
        np.save(tmp_path / "npy" / f"{name}.npy", value)
    found = {name: load("arrays", dir=tmp_path / name) for name in ("a.npz", "packed.npz", "npy")}
    assert isinstance(found["a.npz"].train.images, MappedImages)
    assert isinstance(found["npy"].train.images, MappedImages)
    assert len({data.fingerprint for data in found.values()}) == 1
    for data in found.values():
        assert data.input_shape == (8, 6, 1)
        rows = [int(name.split("/")[1]) for name in data.train.ids]
        assert np.array_equal(data.train.images[:][..., 0], made["x"][rows])
        assert np.array_equal(data.train.labels, made["y"][rows])


def test_keras_s_own_layout_and_names(tmp_path: Path) -> None:
    train, test = arrays(shape=(5, 5, 3)), arrays(12, shape=(5, 5, 3), seed=1)
    names = np.array(["d", "c", "b", "a"])
    np.savez(
        tmp_path / "k.npz", x_train=train["x"], y_train=train["y"][:, None], x_test=test["x"], y_test=test["y"],
        classes=names,
    )  # fmt: skip
    data = load("arrays", dir=tmp_path / "k.npz")
    assert data.classes == ("d", "c", "b", "a")
    assert data.test.labels.tolist() == test["y"].tolist()
    np.savez(tmp_path / "t.npz", x=train["x"], y=names[train["y"]], groups=np.arange(40) // 8)
    data = load("arrays", dir=tmp_path / "t.npz")
    assert data.classes == ("a", "b", "c", "d")
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.ones((40, 8, 6), np.float32)}, r"got float32 \(40, 8, 6\); make pixels of them: \(x \* 255\)"),
        ({"x": np.zeros((40, 8, 6, 2), np.uint8)}, r"with C 1, 3 or 4, got uint8 \(40, 8, 6, 2\)"),
        ({"y": np.arange(39)}, "40 images in x, but 39 labels in y"),
        ({"y": np.eye(40)}, r"y must be \(n,\) whole numbers from 0 or names.*of one-hot rows take argmax"),
        ({"y": np.zeros(40, int)}, "holds one class alone"),
        ({"y": np.arange(40) % 4 - 1}, "label -1 of image 0 in y is out of range"),
        ({"y": np.array([0, 2] * 20)}, "y has no image of class 1"),
        ({"y": np.arange(40) % 4 + 1}, "y has no image of class 0; labels count from 0"),
        ({"x": np.full((40, 8, 6), 200.0)}, r"make pixels of them: x\.round\(\)"),
        ({"x": np.zeros((40, 3, 8, 6), np.uint8)}, r"put the channels last: x\.transpose\(0, 2, 3, 1\)"),
        ({"classes": np.array(["a", "b", "b", "c"])}, "two classes have the same name 'b'"),
        ({"classes": np.array(["a", "b"])}, "label 2 of image 2 in y is out of range, must be 0 to 1"),
        ({"ids": np.array(["same"] * 40)}, "ids names an image twice"),
        ({"groups": np.arange(3)}, r"groups must be \(40,\), one for each image, got \(3,\)"),
        ({"y": np.array([{}] * 40)}, "array 'y' holds Python objects, which could run code"),
    ],
)
def test_arrays_that_are_wrong(tmp_path: Path, change: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), **change})
    with pytest.raises(DataError, match=words) as caught:
        load("arrays", dir=tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_array_files_that_are_damaged(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays())
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:500])
    with pytest.raises(DataError, match="truncated, damaged or no npz file"):
        load("arrays", dir=tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(DataError, match=r"has no array 'y'; it has images"):
        load("arrays", dir=tmp_path / "other.npz")
    np.savez(tmp_path / "half.npz", x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.arange(3))
    with pytest.raises(DataError, match="must have x_train and x_test, or x alone"):
        load("arrays", dir=tmp_path / "half.npz")
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "y.npy", np.arange(40) % 4)
    np.save(tmp_path / "npy" / "x.npy", arrays()["x"])
    file = tmp_path / "npy" / "x.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="array 'x' is truncated or damaged"):
        load("arrays", dir=tmp_path / "npy")


def test_unlabelled_images(tmp_path: Path, digits: Dataset, recorder: Recorder) -> None:
    from kdcompress.data import load_unlabelled
    from kdcompress.sections import UnlabelledSection

    other_models.save_images(digits.train.take(np.arange(30)), tmp_path / "more")
    found = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more")), digits, recorder)
    assert len(found) == 30
    assert set(found.labels) == {-1}
    assert found.ids[0].startswith("unlabelled/0/")
    assert found.images.shape == (30, 28, 28, 1)
    assert len(load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more"), limit=7), digits, recorder)) == 7
    np.savez(tmp_path / "x.npz", x=np.concatenate([digits.test.images[:2], digits.train.images[:5]]))
    found = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "x.npz")), digits, recorder)
    assert np.array_equal(found.images[:], np.concatenate([digits.test.images[:2], digits.train.images[:5]]))
    (warning,) = recorder.warnings
    assert warning.startswith("2 unlabelled images are in test, too: unlabelled/0, unlabelled/1: the student learns")
    with pytest.raises(DataError, match=r"unlabelled\.dir: .* does not exist"):
        load_unlabelled(UnlabelledSection(dir=str(tmp_path / "nowhere")), digits, recorder)


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


def test_arrays_can_be_scaled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays(shape=(8, 8)))
    assert load("arrays", dir=tmp_path / "a.npz", size=16).input_shape == (16, 16, 1)
    assert load("arrays", dir=tmp_path / "a.npz", size=[4, 6]).train.images[:].shape == (32, 4, 6, 1)
