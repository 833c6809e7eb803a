"""Images whose numbers do not fill their container: scaled, warned about with the setting, or refused."""

from __future__ import annotations

import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load, pictures
from PIL import Image

from kdcompress.config.images import ImageSettings
from kdcompress.config.sections import UnlabelledSection
from kdcompress.data import load_unlabelled, read_image
from kdcompress.errors import DataError, RecipeError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


def images(highest: int, dtype: Any, lowest: int = 0) -> np.ndarray:
    """20 random images of (8, 6), in which the extremes occur."""
    pixels = np.random.default_rng(0).integers(lowest, highest + 1, (20, 8, 6)).astype(dtype)
    pixels[:, 0, 0], pixels[:, 0, 1] = highest, lowest
    return pixels


def save(root: Path, pixels: np.ndarray, ending: str = "png") -> Path:
    for index, image in enumerate(pixels):
        path = root / ("cat", "dog")[index % 2] / f"{index:02}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def tiff(path: Path, values: np.ndarray, bits: int, content: bytes, kind: int) -> None:
    """A TIFF of a kind that Pillow reads and does not write."""
    height, width = values.shape
    entries = [
        (256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 134), (277, 3, 1),
        (278, 3, height), (279, 4, len(content)), (339, 3, kind),
    ]  # fmt: skip
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)
    path.write_bytes(head.ljust(134, b"\0") + content)


def signed_tiff(path: Path, values: np.ndarray) -> None:
    tiff(path, values, 16, values.astype("<i2").tobytes(), kind=2)


def train_pixels(data: Any) -> dict[str, np.ndarray]:
    return {name: data.train.images[[row]][0, :, :, 0] for row, name in enumerate(data.train.ids.tolist())}


@pytest.mark.parametrize(
    ("dtype", "highest", "setting"),
    [
        (np.uint8, 1, "255"),
        (np.uint8, 3, "85"),
        (np.uint8, 14, "17"),
        (np.uint8, 50, "'255/63'"),
        (np.uint16, 1, "255"),
        (np.uint16, 255, "1"),
        (np.uint16, 1023, "'255/1023'"),
        (np.uint16, 4000, "'255/4095'"),
        (np.uint16, 16383, "'255/16383'"),
    ],
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_dark_images_come_with_the_setting_that_mends_them(
    tmp_path: Path, recorder: Recorder, dtype: Any, highest: int, setting: str, ending: str
) -> None:
    pixels = images(highest, dtype)
    root = save(tmp_path, pixels, ending)
    before = load("folder", recorder, dir=root)
    (warning,) = recorder.warnings
    assert warning.endswith(f"they are nearly black; if they have fewer bits, set data.scale = {setting}")
    assert f"have no number above {highest:,}" in warning
    recorder = Recorder()
    value = setting.strip("'")
    data = load("folder", recorder, dir=root, scale=value if "/" in value else float(value))
    assert not recorder.warnings
    assert data.fingerprint != before.fingerprint
    white = int(value.partition("/")[2] or 255 / float(value))
    for name, image in train_pixels(data).items():
        expected = pixels[int(name[4:6])].astype(float) * 255 / white
        assert np.abs(image - expected).max() <= 0.5001


@pytest.mark.parametrize(
    ("dtype", "highest"), [(np.uint8, 255), (np.uint8, 64), (np.uint16, 65535), (np.uint16, 16384)]
)
def test_images_that_fill_their_range_are_as_before(
    tmp_path: Path, recorder: Recorder, dtype: Any, highest: int
) -> None:
    pixels = images(highest, dtype)
    data = load("folder", recorder, dir=save(tmp_path, pixels))
    assert not recorder.warnings
    for name, image in train_pixels(data).items():
        deep = pixels[int(name[4:6])]
        assert np.array_equal(image, deep if dtype == np.uint8 else deep // 257)


def test_black_and_white_images_are_that(tmp_path: Path, recorder: Recorder) -> None:
    pixels = images(1, bool)
    data = load("folder", recorder, dir=save(tmp_path, pixels))
    assert not recorder.warnings
    for name, image in train_pixels(data).items():
        assert np.array_equal(image, pixels[int(name[4:6])] * 255)


def save_png(path: Path, values: np.ndarray, bits: int) -> None:
    """A grey PNG of 16 bits whose chunk sBIT says that fewer are significant."""
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(buffer, "PNG")
    content, chunk = buffer.getvalue(), b"sBIT" + bytes([bits])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content[:33] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:])


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14])
def test_a_png_that_says_its_bits_is_scaled_by_them(tmp_path: Path, recorder: Recorder, bits: int) -> None:
    pixels = images(2**bits - 1, np.uint16)
    pixels[2] = 0  # black under every white
    pixels[4] //= 2
    for index, values in enumerate(pixels):
        save_png(tmp_path / ("cat", "dog")[index % 2] / f"{index:02}.png", values, bits)
    data = load("folder", recorder, dir=tmp_path)
    assert not recorder.warnings
    for name, image in train_pixels(data).items():
        assert np.abs(image - pixels[int(name[4:6])] * (255 / (2**bits - 1))).max() <= 0.5001
    plain = save(tmp_path / "plain", pixels)
    assert data.fingerprint != load("folder", dir=plain).fingerprint


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 14, 15, 16, 0, 200])
def test_a_png_whose_numbers_are_scaled_already_is_left_alone(tmp_path: Path, bits: int) -> None:
    white = 2 ** min(bits, 16) - 1 or 1
    for number, highest in enumerate((white, white // 2, white // 20, 1, 0)):
        narrow = images(highest, np.uint16)[0].astype(np.int64)
        shift = max(16 - bits, 0)
        ways = [narrow * 65535 // white, np.rint(narrow * (65535 / white)), narrow << shift]
        if shift < bits:
            ways.append((narrow << shift) | (narrow >> max(bits - shift, 0)))
        for way, values in enumerate(ways):
            path = tmp_path / f"{number}-{way}.png"
            save_png(path, np.clip(values, 0, 65535), bits)
            assert np.array_equal(read_image(path, (8, 6, 1))[..., 0], np.clip(values, 0, 65535) // 257), (highest, way)


@pytest.mark.parametrize("highest", [255, 4095, 65535, 1_000_000])
def test_32_bits_are_refused_without_a_scale(tmp_path: Path, recorder: Recorder, highest: int) -> None:
    pixels = images(highest, np.int32)
    root = save(tmp_path, pixels, "tif")
    with pytest.raises(DataError, match=r"00\.tif has numbers of 32 bits or with a sign \(0 to [\d,]+\)") as caught:
        load("folder", dir=root)
    remedy = re.search(r"set data\.scale = '?([\d/]+)", str(caught.value))
    assert remedy is not None
    white = int(remedy[1].partition("/")[2] or 255 // int(remedy[1]))
    assert highest <= white < 2 * highest + 1
    data = load("folder", dir=root, scale=remedy[1])
    for name, image in train_pixels(data).items():
        assert np.abs(image - pixels[int(name[4:6])] * (255 / white)).max() <= 0.5001
    with pytest.raises(
        DataError, match=r"of which white is not known: 0 to .*; save it with 8 or 16 bits, or set data"
    ):
        read_image(root / "cat" / "00.tif", (8, 6, 1))
    assert read_image(root / "cat" / "00.tif", (8, 6, 1), ImageSettings(scale=remedy[1])).max() > 127


def test_tiffs_of_12_bits_say_it_themselves(tmp_path: Path) -> None:
    values = images(4095, np.uint16)[0]
    left, right = values.reshape(-1, 2).T
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=-1).astype(np.uint8)
    tiff(tmp_path / "a.tif", values, 12, packed.tobytes(), kind=1)
    pixels = read_image(tmp_path / "a.tif", (8, 6, 1))[..., 0]
    assert np.abs(pixels - values * (255 / 4095)).max() <= 0.5001


def test_signed_numbers(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / ("cat", "dog")[number % 2] / f"{number:02}.tif"
        path.parent.mkdir(exist_ok=True)
        signed_tiff(path, images(2000, np.int16)[number])
    with pytest.raises(
        DataError, match=r"32 bits or with a sign \(0 to 2,000\) and so have 19 others, of which white is"
    ):
        load("folder", dir=tmp_path)
    assert load("folder", dir=tmp_path, scale="255/2047").train.images[:].max() == 249
    signed_tiff(tmp_path / "cat" / "00.tif", images(3071, np.int16, lowest=-1024)[0])
    for settings in ({}, {"scale": "255/4095"}):
        with pytest.raises(DataError, match=r"00\.tif has negative numbers \(-1,024 to 3,071\); pixels are 0 or more"):
            load("folder", dir=tmp_path, **settings)


def test_the_scale_leaves_alpha_and_transparent_colours_alone(tmp_path: Path) -> None:
    layers = np.zeros((8, 6, 4), np.uint8)
    layers[..., :3], layers[:, 3:, 3] = 1, 255
    Image.fromarray(layers).save(tmp_path / "a.png")
    settings = ImageSettings(scale=100, background="black")
    assert read_image(tmp_path / "a.png", (8, 6, 3), settings)[0, :, 0].tolist() == [0, 0, 0, 100, 100, 100]
    assert read_image(tmp_path / "a.png", (8, 6, 4), settings)[0, 5].tolist() == [100, 100, 100, 255]
    grey = np.repeat([[1, 1, 1, 2, 2, 2]], 8, axis=0).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "b.png", transparency=1)
    assert read_image(tmp_path / "b.png", (8, 6, 1), settings)[0, :, 0].tolist() == [0, 0, 0, 200, 200, 200]


def test_a_scale_that_is_too_large_is_refused(tmp_path: Path) -> None:
    root = save(tmp_path, images(255, np.uint8))
    with pytest.raises(
        DataError, match=r"data\.scale = 255 makes 65,025 of 255 in .*; pixels are at most 255: set data"
    ):
        load("folder", dir=root, scale=255)
    for scale in (0, -1, "x", "1/0", "nan"):
        with pytest.raises(RecipeError, match=r"data\.scale"):
            load("folder", dir=root, scale=scale)
    assert load("folder", dir=pictures(tmp_path / "set"), scale=1).train.images[:].max() == 255


def test_arrays_of_zeros_and_ones(tmp_path: Path, recorder: Recorder) -> None:
    pixels = images(1, np.uint8)
    labels = np.arange(20) % 2
    for name, saved in (("a.npz", np.savez), ("b.npz", np.savez_compressed)):
        saved(tmp_path / name, x=pixels, y=labels)
        recorder = Recorder()
        dark = load("arrays", recorder, dir=tmp_path / name)
        (warning,) = recorder.warnings
        assert "have no number above 1, where white is 255" in warning
        assert warning.endswith("if they have fewer bits, set data.scale = 255")
        recorder = Recorder()
        data = load("arrays", recorder, dir=tmp_path / name, scale=255)
        assert not recorder.warnings
        rows = [int(sample.partition("/")[2]) for sample in data.train.ids.tolist()]
        assert np.array_equal(data.train.images[:][..., 0], pixels[rows] * 255)
        assert data.fingerprint != dark.fingerprint
        small = load("arrays", dir=tmp_path / name, scale=255, size=4)
        assert small.train.images[:].shape == (16, 4, 4, 1)
    with pytest.raises(DataError, match=r"data\.scale = 300 makes 300 of 1"):
        load("arrays", dir=tmp_path / "a.npz", scale=300)


@pytest.mark.parametrize(
    ("values", "setting", "white"),
    [
        (images(255, np.uint8) / np.float32(255), "255", 1),
        ((images(255, np.uint8) / 255).astype(np.float16), "255", 1),
        (images(255, np.uint8) + 0.25 * (images(255, np.uint8) < 255), "1", 255),
        (images(4000, np.uint16), "'255/4095'", 4095),
        (images(1023, np.int64), "'255/1023'", 1023),
        (images(65535, np.uint16).astype(">u2"), "'255/65535'", 65535),
        (images(255, np.int32), "1", 255),
        (images(1, bool), "255", 1),
        (images(1, np.int8), "255", 1),
    ],
)
def test_arrays_of_other_types_come_with_the_setting_that_takes_them(
    tmp_path: Path, recorder: Recorder, values: np.ndarray, setting: str, white: int
) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path, x_train=values, y_train=np.arange(20) % 2, x_test=values // 2 if white > 1 else values, y_test=[0] * 20
    )
    with pytest.raises(DataError) as caught:
        load("arrays", dir=path)
    assert str(caught.value).endswith(f"; or set data.scale = {setting}")
    data = load("arrays", recorder, dir=path, scale=setting.strip("'"))
    assert not recorder.warnings
    assert np.abs(data.train.images[:][..., 0] - values.astype(np.float64) * 255 / white).max() <= 0.5001
    np.savez(tmp_path / "more.npz", x=values[:3])
    more = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more.npz")), data, recorder)
    assert np.array_equal(more.images[:], data.train.images[:3])


def test_arrays_that_no_scale_takes(tmp_path: Path) -> None:
    for values in (images(255, np.uint8) / 127.5 - 1, images(9, np.uint8) / 9 * 25, images(255, np.int32) - 128):
        np.savez(tmp_path / "a.npz", x=values, y=np.arange(20) % 2)
        with pytest.raises(DataError, match="make pixels of them") as caught:
            load("arrays", dir=tmp_path / "a.npz")
        assert "data.scale" not in str(caught.value)
    bad = images(255, np.uint8) / 255
    bad[3] = np.nan
    for values in (bad, images(255, np.uint8) / 127.5 - 1):
        np.savez(tmp_path / "a.npz", x=values, y=np.arange(20) % 2)
        with pytest.raises(DataError, match=r"x must be numbers of 0 or more, which data\.scale multiplies, \(n, H"):
            load("arrays", dir=tmp_path / "a.npz", scale=255)
    np.savez(tmp_path / "a.npz", x=images(255, np.uint8) / 255 * 1.01, y=np.arange(20) % 2)
    with pytest.raises(
        DataError, match=r"makes 257\.55 of 1\.01 in .*; pixels are at most 255: set data\.scale = '255/1\.01', or"
    ):
        load("arrays", dir=tmp_path / "a.npz", scale=255)


def test_unlabelled_arrays_that_are_nearly_black(tmp_path: Path) -> None:
    data = load("folder", dir=pictures(tmp_path / "set"))
    np.savez(tmp_path / "more.npz", x=images(1, np.uint8))
    recorder = Recorder()
    load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more.npz")), data, recorder)
    (warning,) = recorder.warnings
    assert warning.endswith(
        "where white is 255: they are nearly black; if they have fewer bits, multiply them to 0 to 255"
    )


def test_images_that_are_all_black_are_said(tmp_path: Path, recorder: Recorder) -> None:
    for dtype, bits in ((np.uint8, 8), (np.uint16, 16)):
        recorder = Recorder()
        load("folder", recorder, dir=save(tmp_path / str(bits), images(0, dtype)))
        assert recorder.warnings == [f"the 20 images of {bits} bits are all black: they have no number above 0"]
    np.savez(tmp_path / "a.npz", x=images(0, np.uint8), y=np.arange(20) % 2)
    recorder = Recorder()
    load("arrays", recorder, dir=tmp_path / "a.npz")
    assert recorder.warnings[0].endswith("a.npz are all black: they have no number above 0")


def test_a_scale_is_no_remedy_for_some_of_the_images(tmp_path: Path) -> None:
    """It multiplies the others, too, which would become black without a word."""
    root = save(tmp_path, images(255, np.uint8))
    for index in range(0, 20, 4):
        Image.fromarray(images(4000, np.uint16)[index]).save(root / "cat" / f"{index:02}.png")
    recorder = Recorder()
    load("folder", recorder, dir=root)
    (warning,) = recorder.warnings
    assert warning.startswith("the 5 images of 16 bits have no number above 4,000, where white is 65,535")
    assert warning.endswith("save them with 8 bits, scaled: data.scale holds for all images")
    recorder = Recorder()
    load("folder", recorder, dir=root, scale="255/4095")
    (warning,) = recorder.warnings
    assert warning.startswith("by data.scale = 0.0622711, the 15 images of 8 bits have no number above 16, where white")


def test_colour_images_of_16_bits_show_their_upper_8(tmp_path: Path, recorder: Recorder) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 8, 16, 2, 0, 0, 0))
    for index in range(20):
        values = np.random.default_rng(index).integers(0, 4096, (8, 18)).astype(">u2")
        path = tmp_path / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    load("folder", recorder, dir=tmp_path)
    assert recorder.warnings == [
        "the upper 8 bits of the 20 colour images of 16 have no number above 15, where white is 255: they are nearly "
        "black; if they have fewer bits, scale them to 16, or to 8, and save them so"
    ]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("transparency", [1, bytes([0, 100, 255, 255])])
def test_palettes_with_transparency_come_without_warnings_of_pillow(tmp_path: Path, transparency: Any) -> None:
    for index in range(20):
        path = tmp_path / ("cat", "dog")[index % 2] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(np.random.default_rng(index).integers(0, 256, (8, 6, 3), np.uint8)).quantize(4)
        image.save(path, transparency=transparency)
    assert load("folder", dir=tmp_path, background="black").train.images[:].min() == 0


def test_many_files_of_one_problem_are_named_once(tmp_path: Path) -> None:
    root = save(tmp_path, images(255, np.uint8))
    for index in range(0, 20, 2):
        Image.fromarray(np.zeros((8, 6), np.float32)).save(root / "cat" / f"{index:02}.tif")
    (root / "dog" / "01.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load("folder", dir=root)
    text = str(caught.value).replace(f"{root}/", "")
    assert text.startswith(
        "11 images cannot be used: cat/00.tif holds floating-point numbers, whose range is not known; save it with 8 "
        "or 16 bits (likewise cat/02.tif, cat/04.tif, cat/06.tif, cat/08.tif and 5 more); dog/01.png is truncated"
    )


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint8, "L"), (np.uint8, "RGB"), (np.uint8, "P"), (np.uint16, "I;16")])
def test_an_image_of_another_range_than_the_scale_is_for_is_refused(tmp_path: Path, dtype: Any, mode: str) -> None:
    """As `predict` gets them, which would show them white."""
    image = Image.fromarray(images(200, dtype)[0])
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.png")
    words = r"a\.png has numbers up to 200, which data\.scale = 255 makes 51,000; pixels are at most 255: save it as"
    with pytest.raises(DataError, match=words):
        read_image(tmp_path / "a.png", (8, 6, 3), ImageSettings(scale=255))
    assert read_image(tmp_path / "a.png", (8, 6, 3), ImageSettings(scale="255/200")).max() == 255
