"""The images of MHIST: missing ones, sizes, kinds, damage, and the same one twice."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from mhist_folder import folder, refused
from own_images import cache_elsewhere, load, picture
from PIL import Image

from kdcompress.data import make_source
from kdcompress.errors import RecipeError

__all__ = ["cache_elsewhere", "folder"]  # fixtures of the tests here


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


def test_every_test_image_that_is_in_train_is_told(folder: Path) -> None:
    images = sorted((folder / "images").iterdir())
    for place in (17, 18):
        shutil.copyfile(images[0], images[place])
    said = refused(folder, "train")
    assert images[17].name in said
    assert images[18].name in said
