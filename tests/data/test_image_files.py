"""Image files of every kind and state, read as pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.data import LazyImages, image_size, read_image
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


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
    slope = np.add.outer(np.arange(6) * 30, np.arange(8) * 10).astype(np.uint8)
    turned = Image.fromarray(np.repeat(slope[..., None], 3, axis=-1))
    exif = Image.Exif()
    exif[0x0112] = 6  # stands on its side
    turned.save(grey / "cat" / "turned.jpg", exif=exif, quality=95)
    assert image_size(grey / "cat" / "turned.jpg") == (8, 6)
    upright = np.rot90(np.asarray(turned), -1)
    assert read_image(grey / "cat" / "turned.jpg", (8, 6, 3)).astype(int) == pytest.approx(upright.astype(int), abs=12)
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
    with pytest.raises(DataError, match=r"8 images cannot be used: .*bad0\.png.*bad4\.png.* and 3 more\); mend them"):
        load("folder", dir=tmp_path)


def test_images_are_decoded_once_and_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcompress.data import index as _index

    pictures(tmp_path)
    looked: list[str] = []
    inspect_image = _index.inspect_image
    monkeypatch.setattr(
        _index, "inspect_image", lambda path, data: (looked.append(path.name), inspect_image(path, data))[1]
    )
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
