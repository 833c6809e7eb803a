"""MHIST as its owners hand it out, and everything that can be wrong with it."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from mhist_folder import HEADER, mhist_folder, row, rows_of, write_rows
from own_images import cache_elsewhere, load, picture
from PIL import Image
from typer.testing import CliRunner

from kdcompress.cache import cache_dir
from kdcompress.cli._app import app
from kdcompress.data import FileImages, Samples, make_source
from kdcompress.data import _mhist_zip as unzipping
from kdcompress.data._mhist_origin import difference
from kdcompress.errors import DataError, RecipeError
from kdcompress.progress import Progress

__all__ = ["cache_elsewhere"]  # a fixture of every test here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mhist_folder(tmp_path / "polyps")


def refused(folder: Path, words: str, **settings: Any) -> str:
    """The one line that loading fails with, which must match `words`."""
    with pytest.raises(DataError, match=words) as caught:
        load("mhist", dir=folder, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_as_the_owners_hand_it_out(folder: Path) -> None:
    data = load("mhist", dir=folder)
    assert data.classes == ("HP", "SSA")
    assert data.name == "mhist"
    assert (len(data.train), len(data.test), data.input_shape) == (16, 8, (12, 12, 3))
    assert data.train.ids.tolist() == [f"MHIST_{index:04d}.png" for index in range(16)]
    assert data.test.ids[0] == "MHIST_0016.png"
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert data.test.votes is not None
    assert data.test.votes.tolist() == [[7, 0], [6, 1], [5, 2], [4, 3], [3, 4], [2, 5], [1, 6], [0, 7]]
    assert data.test.votes.dtype == np.int64
    assert (data.train.chances, data.train.subclasses, data.subclasses) == (None, None, None)
    assert isinstance(data.train.images, FileImages)
    with Image.open(folder / "images" / "MHIST_0017.png") as image:
        assert np.array_equal(data.test.images[[1]][0], np.asarray(image))


@pytest.mark.parametrize(("newline", "mark"), [("\r\n", b""), ("\n", b""), ("\r", b""), ("\r\n", b"\xef\xbb\xbf")])
def test_any_line_ends_a_byte_order_mark_and_any_order_of_rows(folder: Path, newline: str, mark: bytes) -> None:
    expected = load("mhist", dir=folder)
    table = write_rows(folder, rows_of()[::-1], newline=newline)
    table.write_bytes(mark + table.read_bytes())
    found = load("mhist", dir=folder)
    assert found.fingerprint == expected.fingerprint
    assert found.train.ids.tolist() == expected.train.ids.tolist()


def test_where_it_is_looked_for(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(
        DataError, match=r"no MHIST in .*data/mhist or .*mhist: MHIST may not be redistributed.*request"
    ):
        load("mhist", recorder)
    assert recorder.notes == [
        f"KDCOMPRESS_DATA_DIR is set, but there is no annotations.csv in {tmp_path / 'data' / 'mhist'}"
    ]
    shutil.copytree(folder, cache_dir("data") / "mhist")
    assert load("mhist").source.startswith(str(cache_dir("data") / "mhist"))
    shutil.copytree(folder, tmp_path / "data" / "mhist")
    assert load("mhist").source.startswith(str(tmp_path / "data" / "mhist"))
    refused(folder.parent, f"{folder.parent} holds no annotations.csv; is it .* that is meant")
    (folder / "annotations.csv").unlink()
    refused(folder, "holds no annotations.csv, as MHIST has beside images/ or images.zip")


def test_it_is_not_downloaded_for_anyone() -> None:
    with pytest.raises(
        DataError, match=r"request it from its owners.*use agreement.*or name their folder with --data"
    ) as e:
        make_source({"name": "mhist"}).download(Progress())
    assert str(cache_dir("data") / "mhist") in str(e.value)
    done = CliRunner().invoke(app, ["data", "get", "mhist"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "BMIRDS group at Dartmouth" in done.stderr


AT_5 = "MHIST_0003.png"  # the image of line 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"{AT_5},hp,3,train", r"annotations\.csv, line 5: the label must be HP or SSA, got 'hp'; "),
        (f"{AT_5},,3,train", r"line 5: the label must be HP or SSA, got ''"),
        (f"{AT_5},HP,8,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '8'"),
        (f"{AT_5},HP,-1,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '-1'"),
        (f"{AT_5},HP,2.5,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '2\.5'"),
        (f"{AT_5},HP,,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got ''"),
        (f"{AT_5},HP,4,train", r"line 5: the label is HP, but 4 of 7 annotators chose SSA \(SSA means 4 or more\)"),
        (f"{AT_5},SSA,3,train", r"line 5: the label is SSA, but 3 of 7 annotators chose SSA"),
        (f"{AT_5},HP,3,val", r"line 5: the partition must be train or test, got 'val'"),
        (f"{AT_5},HP,3", r"line 5: not as many fields as the header's 4"),
        (",HP,3,train", r"line 5: the path is empty"),
        (row("MHIST_0001.png", 3, "train"), r"MHIST_0001\.png stands in line 3 and again in line 5"),
        (row("../MHIST_0003.png", 3, "train"), r"line 5: \.\./MHIST_0003\.png leaves the folder .*images"),
        (row("/etc/passwd.png", 3, "train"), r"line 5: /etc/passwd\.png leaves the folder"),
        (row('"two\nlines.png"', 3, "train"), r"line 6: the path 'two\\nlines\.png' holds control characters"),
        (row("none.png", 3, "train"), r"lists images that do not exist below .*images: none\.png \(line 5\)"),
        (row("x" * 5000, 3, "train"), r"do not exist below .*images: x+ \(line 5\)"),
    ],
)
def test_rows_that_are_wrong_are_told_by_line(folder: Path, change: str, words: str) -> None:
    rows = rows_of()
    rows[3] = change
    write_rows(folder, rows)
    refused(folder, words)


def test_many_wrong_rows_are_counted(folder: Path) -> None:
    rows = [text.replace(",HP,", ",SSA,") for text in rows_of()]
    write_rows(folder, rows)
    words = refused(
        folder, r"annotations\.csv \(12 rows are wrong\), line 2: the label is SSA.*; and 7 more; annotations"
    )
    assert [f"line {line}:" in words for line in (2, 3, 4, 5, 10, 11)] == [True] * 5 + [False]


def test_columns_and_parts_that_are_missing(folder: Path) -> None:
    write_rows(folder, rows_of(), HEADER.replace("Partition", "Partitions"))
    refused(
        folder, r"has no column 'Partition' \(did you mean 'Partitions'\?\); it has Image Name, .*as MHIST's owners"
    )
    write_rows(folder, [text.rsplit(",", 2)[0] for text in rows_of()], "Image Name,Majority Vote Label")
    refused(folder, r"has no column 'Number of Annotators who Selected SSA \(Out of 7\)'")
    write_rows(folder, [text for text in rows_of() if not text.endswith("test")])
    refused(folder, "has no row of partition test; it needs rows of both train and test")
    write_rows(folder, [text for text in rows_of() if ",HP," not in text])
    refused(folder, "train has no image of class HP; it needs both")
    write_rows(folder, [])
    refused(folder, "has no row of partition train")
    (folder / "annotations.csv").write_bytes(b"")
    refused(folder, "annotations.csv is empty; it needs a header with the columns Image Name and Majority")
    (folder / "annotations.csv").write_bytes("\n".join([HEADER, *rows_of()]).encode("utf-16"))
    refused(folder, "annotations.csv is not UTF-8 text")
    (folder / "annotations.csv").write_text(HEADER + '\n"' + "x" * 200_000)
    refused(folder, r"line \d+: no CSV \(field larger")


def test_images_that_are_missing_or_too_many(folder: Path) -> None:
    images = folder / "images"
    for name in ("zz.png", "aa.png", ".hidden.png", "notes.txt"):
        (images / name).write_text("no image, and nobody looks")
    recorder = Recorder()
    load("mhist", recorder, dir=folder)
    assert recorder.notes == ["2 images are not in annotations.csv and not used, such as aa.png"]
    for index in range(7):
        (images / f"MHIST_{index:04d}.png").unlink()
    refused(folder, r"do not exist below .*images: MHIST_0000\.png \(line 2\), .*MHIST_0004\.png \(line 6\) and 2 more")
    shutil.rmtree(images)
    refused(folder, r"holds annotations\.csv, but no images in images/ and no images\.zip; put either beside it")


def test_sizes_that_differ_are_refused_unless_scaled(folder: Path) -> None:
    picture(folder / "images" / "MHIST_0003.png", 1, (12, 14))
    picture(folder / "images" / "MHIST_0020.png", 2, (5, 9))
    words = refused(folder, r"2 of 24 images are not 12x12 as the others are: .*data\.size = 224")
    assert "MHIST_0003.png (12x14), MHIST_0020.png (5x9)" in words
    assert load("mhist", dir=folder, size=10).input_shape == (10, 10, 3)
    data = load("mhist", dir=folder, size=[6, 8])
    assert data.test.images[:].shape == (8, 6, 8, 3)
    assert "files: 24, 22 of 12x12, 1 of 12x14, 1 of 5x9" in make_source({"name": "mhist"}).summary(data)
    with pytest.raises(RecipeError, match=r"data\.size must be > 0, got 0"):
        load("mhist", dir=folder, size=0)


def truncated(path: Path) -> None:
    content = picture(path, 9, (12, 12)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def bomb(path: Path) -> None:
    Image.new("1", (20000, 10000)).save(path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, r"MHIST_0003\.png is truncated, damaged or no image"),
        (bomb, r"MHIST_0003\.png is (10000x20000, above|truncated, damaged or no image \(Image size)"),
        (lambda path: path.write_text("hello"), r"MHIST_0003\.png is truncated, damaged or no image \(no image that"),
        (lambda path: path.write_bytes(b""), r"MHIST_0003\.png is truncated, damaged or no image"),
        (
            lambda path: Image.new("RGBA", (12, 12), (1, 2, 3, 254)).save(path),
            r"transparent pixels, behind which anything may stand: MHIST_0003\.png; save them without an alpha channel",
        ),
        (
            lambda path: Image.new("P", (12, 12)).save(path, transparency=0),
            r"transparent pixels.*MHIST_0003\.png",
        ),
        (
            lambda path: Image.new("F", (12, 12)).save(path, "TIFF"),
            r"MHIST_0003\.png holds floating-point numbers",
        ),
        (lambda path: Image.new("I", (12, 12)).save(path, "TIFF"), r"must be RGB.*others are: MHIST_0003\.png \(I\)"),
        (lambda path: Image.new("LAB", (12, 12)).save(path, "TIFF"), r"MHIST_0003\.png"),
    ],
)
def test_images_that_are_no_use_are_told_by_name(folder: Path, damage: Callable[[Path], Any], words: str) -> None:
    damage(folder / "images" / "MHIST_0003.png")
    for _ in range(2):  # what is known of them changes nothing
        refused(folder, words, size=12)


def deep_rgb(path: Path, pixels: np.ndarray) -> None:
    """A PNG of 16-bit RGB (H, W, 3), which Pillow reads but does not write."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    path.write_bytes(signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))


def test_harmless_kinds_of_images_become_rgb_and_are_counted(folder: Path) -> None:
    def path(index: int) -> Path:
        return folder / "images" / f"MHIST_{index:04d}.png"

    with Image.open(path(4)) as image:
        flat = np.asarray(image)
        image.convert("RGBA").save(path(4))
    picture(path(0), 1, (12, 12), "L")
    picture(path(1), 2, (12, 12), "L")
    picture(path(2), 3, (12, 12), "P")
    Image.new("CMYK", (12, 12), (255, 0, 0, 0)).save(path(3), "TIFF")
    deep = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    Image.fromarray(deep).save(path(5))
    wide = np.random.default_rng(3).integers(0, 65536, (12, 12, 3))
    deep_rgb(path(6), wide)
    recorder = Recorder()
    data = load("mhist", recorder, dir=folder)
    assert recorder.notes == [
        "7 of 24 images are converted to 8-bit RGB: 1 CMYK (MHIST_0003.png), 1 16-bit grey (MHIST_0005.png), "
        "2 grey (MHIST_0000.png), 1 of a palette (MHIST_0002.png), 1 16-bit RGB (MHIST_0006.png), "
        "1 RGBA with an opaque alpha channel (MHIST_0004.png)"
    ]
    pixels = data.train.images[:7]
    assert np.array_equal(pixels[4], flat)
    assert pixels[3][0, 0].tolist() == [0, 255, 255]  # cyan ink alone
    assert np.array_equal(pixels[5], np.repeat((deep // 257).astype(np.uint8)[..., None], 3, axis=-1))
    assert np.abs(pixels[6].astype(int) - wide / 257).max() < 1
    assert (pixels[0] == pixels[0][..., :1]).all()


def test_a_test_image_that_is_also_in_train(folder: Path) -> None:
    images = folder / "images"
    with Image.open(images / "MHIST_0002.png") as image:
        image.save(images / "MHIST_0018.png", compress_level=0)  # other bytes, the same pixels
    assert (images / "MHIST_0018.png").read_bytes() != (images / "MHIST_0002.png").read_bytes()
    words = "1 test image is in train, too .train = test: MHIST_0002.png = MHIST_0018.png.*data.allow_duplicates = true"
    refused(folder, words)
    data = load("mhist", dir=folder, allow_duplicates=True)
    assert "1 image is in train and in test: MHIST_0002.png = MHIST_0018.png: figures on test" in str(data.notice)
    lines = make_source({"name": "mhist"}).summary(data)
    told = "1 (MHIST_0002.png = MHIST_0018.png) in train and in test, 0 within train, 0 within test"
    assert f"duplicates: {told}" in lines


def test_an_image_twice_in_train_is_told_by_its_labels(folder: Path) -> None:
    images = folder / "images"
    shutil.copy(images / "MHIST_0000.png", images / "MHIST_0008.png")
    data = load("mhist", dir=folder)
    assert "two labels" not in str(data.notice)
    assert make_source({"name": "mhist"}).summary(data)[-1] == (
        "duplicates: none in train and in test, 1 within train, 0 within test"
    )
    shutil.copy(images / "MHIST_0001.png", images / "MHIST_0004.png")
    said = str(load("mhist", dir=folder).notice)
    assert "1 image is in train under two labels: MHIST_0001.png = MHIST_0004.png" in said


def test_votes_as_subclasses(folder: Path) -> None:
    data = load("mhist", dir=folder, subclasses="agreement")
    assert data.subclasses == (("HP unanimous", "HP contested"), ("SSA contested", "SSA unanimous"))
    assert data.test.subclasses is not None
    assert data.test.subclasses.tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    finest = load("mhist", dir=folder, subclasses="votes")
    assert finest.subclasses == (
        ("HP 7 of 7", "HP 6 of 7", "HP 5 of 7", "HP 4 of 7"),
        ("SSA 4 of 7", "SSA 5 of 7", "SSA 6 of 7", "SSA 7 of 7"),
    )
    assert finest.test.subclasses is not None
    assert finest.test.subclasses.tolist() == list(range(8))
    assert len({data.fingerprint, finest.fingerprint, load("mhist", dir=folder).fingerprint}) == 3
    some = [text for text in rows_of() if ",0," in text or ",7," in text]
    write_rows(folder, some)
    few = load("mhist", dir=folder, subclasses="agreement")
    assert few.subclasses == data.subclasses  # names do not hang on which votes there are
    assert few.train.subclasses is not None
    assert few.train.subclasses.tolist() == [0, 3, 0, 3]
    with pytest.raises(RecipeError, match=r"data\.subclasses must be one of 'none', 'agreement' or 'votes', got 'all'"):
        load("mhist", dir=folder, subclasses="all")


def test_votes_as_soft_labels(folder: Path) -> None:
    data = load("mhist", dir=folder, labels="votes")
    assert data.test.chances is not None
    assert data.test.chances.dtype == np.float32
    expected = [[1 - votes / 7, votes / 7] for votes in range(8)]
    assert data.test.chances == pytest.approx(np.array(expected), abs=1e-7)
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert data.fingerprint != load("mhist", dir=folder).fingerprint


def zipped(folder: Path, before: str = "images/") -> Path:
    """The folder with images.zip in place of images/."""
    with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        if before:
            archive.writestr(before, b"")
        for path in sorted((folder / "images").iterdir()):
            archive.write(path, before + path.name)
        archive.writestr(f"__MACOSX/{before}._MHIST_0000.png", b"what a Mac adds")
    shutil.rmtree(folder / "images")
    return folder / "images.zip"


@pytest.mark.parametrize("before", ["images/", "", "MHIST/images/"])
def test_a_zip_file_in_place_of_the_images(folder: Path, before: str, recorder: Recorder) -> None:
    expected = load("mhist", dir=folder)
    pixels = expected.test.images[:]
    archive = zipped(folder, before)
    data = load("mhist", recorder, dir=folder)
    assert data.fingerprint == expected.fingerprint
    assert data.source == expected.source
    assert np.array_equal(data.test.images[:], pixels)
    assert recorder.phases == ["unpacking images", "checking images"]
    again = Recorder()
    load("mhist", again, dir=folder)
    assert again.phases == []
    assert sorted(path.name for path in folder.iterdir()) == ["annotations.csv", "images.zip"]
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr(f"{before}one_more.png", b"of another content")
    third = Recorder()
    load("mhist", third, dir=folder)
    assert third.phases == ["unpacking images", "checking images"]
    assert third.notes == ["1 image is not in annotations.csv and not used, such as one_more.png"]


def entry(name: str, content: bytes = b"x") -> Callable[[Path], None]:
    def add(archive: Path) -> None:
        with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr(name, content)

    return add


def cut(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])


def wrong_byte(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        info = opened.infolist()[5]
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    archive.write_bytes(content)


def locked(archive: Path) -> None:
    content = archive.read_bytes()
    # The flag of encryption in every local and central header
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content = content[: at + offset] + bytes([content[at + offset] | 1]) + content[at + offset + 1 :]
            at = content.find(mark, at + 4)
    archive.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (entry("../../evil.png"), r"entry '\.\./\.\./evil\.png' leads out of the folder, or is no name; nothing was"),
        (entry("images/../../evil.png"), r"entry 'images/\.\./\.\./evil\.png' leads out of the folder"),
        (entry("..\\evil.png"), r"leads out of the folder"),
        (entry("/evil.png"), r"entry '/evil\.png' leads out of the folder"),
        (entry("images/ev\nil.png"), r"entry 'images/ev\\nil\.png' leads out of the folder, or is no name"),
        (entry("C:/evil.png"), r"leads out of the folder"),
        (entry("images/zeros.png", bytes(120 << 20)), r"would unpack to 125,\d+,\d+ bytes in .*: a zip bomb"),
        (entry("MHIST_0003.png"), r"MHIST_0003\.png is in it twice; pack one of them"),
        (cut, r"images\.zip is damaged, locked or no zip file"),
        (wrong_byte, r"images\.zip is damaged, locked or no zip file"),
        (locked, r"images\.zip is damaged, locked or no zip file \(.*(encrypted|password)"),
        (lambda archive: archive.write_text("hello"), r"images\.zip is damaged, locked or no zip file"),
    ],
)
def test_zip_files_that_are_wrong_leave_nothing(
    folder: Path, tmp_path: Path, damage: Callable[[Path], Any], words: str
) -> None:
    damage(zipped(folder))
    refused(folder, words)
    assert not list(tmp_path.rglob("evil.png"))
    assert [path for path in cache_dir("data").glob("*") if path.suffix != ".lock"] == []


def test_a_zip_file_without_images_or_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    archive = zipped(folder)
    with monkeypatch.context() as patch:
        patch.setattr(unzipping.shutil, "copyfileobj", full)
        refused(folder, r"images\.zip cannot be unpacked into .* \(No space left on device\)")
    left = cache_dir("data").glob("*")
    assert [path for path in left if path.suffix != ".lock"] == []
    load("mhist", dir=folder)
    archive.unlink()
    entry("readme.txt")(archive)
    refused(folder, r"images\.zip holds no images")


def test_what_a_killed_run_left_of_unpacking_is_no_hindrance(folder: Path) -> None:
    archive = zipped(folder)
    name = f"mhist-images-{unzipping.sha256_of(archive)[:16]}.part"
    (cache_dir("data") / name).mkdir(parents=True)
    (cache_dir("data") / name / "MHIST_0000.png").write_bytes(b"half")
    assert len(load("mhist", dir=folder).train) == 16
    assert not (cache_dir("data") / name).exists()


def test_images_unpacked_in_a_folder_of_their_name(folder: Path) -> None:
    expected = load("mhist", dir=folder).fingerprint
    (folder / "images").rename(folder / "inner")
    (folder / "images").mkdir()
    (folder / "inner").rename(folder / "images" / "images")
    assert load("mhist", dir=folder).fingerprint == expected


def test_another_set_is_not_called_the_published_one(folder: Path) -> None:
    data = load("mhist", dir=folder)
    assert data.source == f"{folder} (not the published MHIST)"
    assert data.notice == (
        "not the published MHIST: train has 8 HP and 8 SSA (published: 1,545 HP and 630 SSA), "
        "test has 4 HP and 4 SSA (published: 617 HP and 360 SSA), images are 12x12 (published: 224x224)"
    )


def test_the_published_counts() -> None:
    def samples(hp: int, ssa: int) -> Samples:
        labels = np.repeat([0, 1], [hp, ssa]).astype(np.int64)
        return Samples(np.zeros((hp + ssa, 1, 1, 3), np.uint8), labels, labels.astype(np.str_))

    parts = {"train": samples(1545, 630), "test": samples(617, 360)}
    assert difference(parts, "224x224") is None
    assert str(difference(parts, "96x96")).endswith("MHIST: images are 96x96 (published: 224x224)")
    parts["test"] = samples(617, 359)
    assert difference(parts, "224x224") == (
        "not the published MHIST: test has 617 HP and 359 SSA (published: 617 HP and 360 SSA)"
    )


def test_synthetic_images_are_called_so(folder: Path) -> None:
    facts = {"made_by": "kdcompress 0.1", "synthetic": True, "seed": 7, "count": 24, "size": 12}
    (folder / "synthetic.json").write_text(json.dumps(facts))
    data = load("mhist", dir=folder)
    assert data.source == f"synthetic: {folder} (made by kdcompress 0.1, seed 7, count 24, size 12)"
    assert str(data.notice).startswith("SYNTHETIC images, drawn by a program, not tissue")
    assert "published" not in str(data.notice)
    (folder / "synthetic.json").write_text(json.dumps({"synthetic": True, "made_by": "a\nb" + "c" * 900}))
    assert load("mhist", dir=folder).source == f"synthetic: {folder} (made by a b{'c' * 57})"
    for text in ("", "[]", '{"synthetic": false}', '{"synthetic": "yes"}', "[" * 100_000):
        (folder / "synthetic.json").write_text(text)
        refused(folder, r"synthetic\.json is damaged or not what make-synthetic writes .*; make the folder anew")


def test_data_check_reads_pleasantly(folder: Path, tmp_path: Path) -> None:
    picture(folder / "images" / "MHIST_0005.png", 77, (12, 12), "L")
    picture(folder / "images" / "more.png", 78)
    told = ["--set", "data.subclasses=agreement", "--ids", str(tmp_path / "ids.csv")]
    done = CliRunner().invoke(app, ["data", "check", "mhist", "--data-dir", str(folder), *told])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"mhist: {folder} (not the published MHIST)"
    assert lines[2:] == [
        "train 16, test 8, images 12x12x3",
        "class HP: train 8, test 4",
        "class SSA: train 8, test 4",
        "agreement 4 of 7: train 4, test 2",
        "agreement 5 of 7: train 4, test 2",
        "agreement 6 of 7: train 4, test 2",
        "agreement 7 of 7: train 4, test 2",
        "subclass HP unanimous: train 2, test 1",
        "subclass HP contested: train 6, test 3",
        "subclass SSA contested: train 6, test 3",
        "subclass SSA unanimous: train 2, test 1",
        "files: 24, 12x12",
        "colours: 1 of 24 images are converted to 8-bit RGB: 1 grey (MHIST_0005.png)",
        "surplus: 1 image is not in annotations.csv and not used, such as more.png",
        "duplicates: none in train and in test, 0 within train, 0 within test",
    ]
    assert "WARNING: not the published MHIST: train has 8 HP" in done.stderr
    assert (tmp_path / "ids.csv").read_text().splitlines()[:2] == ["id,part,label", "MHIST_0000.png,train,HP"]
    broken = rows_of()
    broken[0] = "MHIST_0000.png,SSA,0,train"
    write_rows(folder, broken)
    failed = CliRunner().invoke(app, ["data", "check", "mhist", "--data-dir", str(folder)])
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert "line 2: the label is SSA, but 0 of 7 annotators chose SSA" in failed.stderr
