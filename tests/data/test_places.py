"""What a stranger may have put where a file is expected: FIFOs, folders, names that are no text, bombs."""

from __future__ import annotations

import functools
import gzip
import os
import socket
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import NAMES, Recorder, idx
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.config.sections import SplitSection, UnlabelledSection, ViewsSection
from kdcompress.data import (
    Dataset,
    Split,
    find_images,
    images,
    load_unlabelled,
    read_image,
    split_dataset,
    view_transforms,
    write_ids,
)
from kdcompress.data.filesystem import walk_files
from kdcompress.data.idx import read_idx
from kdcompress.data.sources.ebhi_seg import EbhiSeg, part_of
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


def no_file(path: Path, how: str) -> None:
    if how == "fifo":
        os.mkfifo(path)
    else:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is short
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize("how", ["fifo", "socket"])
def test_what_could_hang_is_never_opened(tmp_path: Path, digits: Dataset, recorder: Recorder, how: str) -> None:
    odd = tmp_path / "odd"
    no_file(odd, how)
    words = r"odd is no regular file \(a FIFO, a socket or a device\); it must be a file"
    calls: list[Callable[[], Any]] = [
        lambda: load("arrays", dir=odd),
        lambda: load("csv", file=odd),
        lambda: find_images([odd]),
        lambda: read_image(odd, (8, 8, 3)),
        lambda: images.image_size(odd),
        lambda: read_idx(odd, 3),
        lambda: load_unlabelled(UnlabelledSection(dir=str(odd)), digits, recorder),
    ]
    for call in calls:
        with pytest.raises(DataError, match=words):
            call()
    for name in ("folder", "csv", "mhist", "mnist", "ebhi-seg"):
        with pytest.raises(DataError):
            load(name, dir=odd)


@pytest.mark.parametrize("how", ["fifo", "socket"])
def test_entries_of_folders_that_are_no_files(
    tmp_path: Path, digits: Dataset, recorder: Recorder, digits_dir: Path, how: str
) -> None:
    root = pictures(tmp_path / "set")
    expected = load("folder", dir=root).fingerprint
    no_file(root / "cat" / "odd.png", how)
    assert load("folder", dir=root).fingerprint == expected
    for name in ("x.npy", "mnist.npz", "list.csv"):
        (tmp_path / name).mkdir()
        no_file(tmp_path / name / name, how)
    with pytest.raises(DataError, match=r"x\.npy is no regular file"):
        load("arrays", dir=tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"x\.npy is no regular file"):
        load_unlabelled(UnlabelledSection(dir=str(tmp_path / "x.npy")), digits, recorder)
    with pytest.raises(DataError, match=r"mnist\.npz is no regular file"):
        load("mnist", dir=tmp_path / "mnist.npz")
    with pytest.raises(DataError, match=r"list\.csv is no regular file"):
        load("csv", dir=tmp_path / "list.csv")
    (digits_dir / NAMES["test"][1]).unlink()
    no_file(digits_dir / NAMES["test"][1], how)
    with pytest.raises(DataError, match=rf"{NAMES['test'][1]} is no regular file"):
        load("mnist", dir=digits_dir)


def test_folders_behind_the_names_of_files(tmp_path: Path, digits_dir: Path) -> None:
    other = digits_dir / NAMES["test"][1].replace("-idx", ".idx")
    (digits_dir / NAMES["test"][1]).rename(other)
    (digits_dir / NAMES["test"][1]).mkdir()  # as one archive of MNIST has it
    assert len(load("mnist", dir=digits_dir).test) == 100
    root = pictures(tmp_path / "set")
    (root / "cat" / "folder.png").mkdir()
    picture(root / "cat" / "folder.png" / "inner.png", 7)
    assert "cat/folder.png/inner.png" in load("folder", dir=root).train.ids
    with pytest.raises(DataError, match="is a folder; it must be a file"):
        read_image(root / "cat", (8, 8, 3))


@pytest.mark.parametrize("name", ["folder", "arrays", "csv", "mhist", "mnist", "ebhi-seg"])
def test_names_of_folders_that_no_file_system_takes(name: str) -> None:
    for folder, words in (
        ("/n" * 3000 + "x" * 5000, "does not exist"),
        ("/a\0b", "does not exist"),
        ("~nobody-here/x", "home directory"),
    ):
        with pytest.raises(DataError, match=words):
            load(name, dir=folder)


ODD = (b"caf\xe9.png", b"\xff\xfe.png", b"a\x1b[2J.png", "h\u0301\u202ee.png".encode(), b"x" * 251 + b".png")


def odd_names(root: Path) -> Path:
    pictures(root)
    for number, name in enumerate(ODD):
        picture(root / "x.png", 700 + number).rename(os.fsdecode(os.fsencode(root / "dog") + b"/" + name))
    return root


def test_names_that_are_no_text_are_names(tmp_path: Path, recorder: Recorder) -> None:
    data = load("folder", recorder, dir=odd_names(tmp_path / "set"), group="([^/]+)[.]")
    assert load("folder", dir=tmp_path / "set", group="([^/]+)[.]").fingerprint == data.fingerprint
    assert recorder.phases == ["checking images"]
    ids = {*data.train.ids.tolist(), *data.test.ids.tolist()}
    assert {os.fsdecode(b"dog/" + name) for name in ODD} < ids
    split: Split = split_dataset(data, SplitSection(validation_fraction=0.3))
    assert len(split.fingerprint) == 64
    views = ViewsSection(count=3, shift_px=1.0)
    assert view_transforms(views, data.train.ids, 8, 6).shape == (len(data.train), 3, 8)
    assert len(data.train.images[:]) == len(data.train)
    write_ids(tmp_path / "ids.csv", data)
    assert r"dog/caf\xe9.png," in (tmp_path / "ids.csv").read_text(encoding="utf-8")
    unlabelled = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "set" / "dog")), data, Recorder())
    assert os.fsdecode(b"unlabelled/caf\xe9.png") in unlabelled.ids


def test_views_of_names_that_are_text_are_what_they_were() -> None:
    views = ViewsSection(count=2, shift_px=2.0, rotation_deg=10)
    found = view_transforms(views, np.array(["train/0", "größe"]), 8, 8)[:, 1]
    assert found[:, 2].tolist() == pytest.approx([-1.9739444255828857, 1.7478529214859009])


def test_cases_of_ebhi_that_are_no_text() -> None:
    assert part_of("GT001") == "train"
    assert part_of("\udcff") in ("train", "test")


def test_masks_are_read_from_their_folder_alone(tmp_path: Path) -> None:
    picture(tmp_path / "Polyp" / "image" / "a.png", 1)
    picture(tmp_path / "Polyp" / "label" / "a.png", 2)
    picture(tmp_path / "secret.png", 3)
    (tmp_path / "Polyp" / "label" / "b.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(tmp_path / "Polyp" / "label" / "c.png")
    source = EbhiSeg(dir=str(tmp_path))
    assert source.mask("Polyp/a.png").shape == (8, 6)
    for name, words in {
        "b.png": "leaves the folder .* through a link",
        "c.png": "no regular file",
        "d.png": "is missing",
        "..": "is missing",
        "../../secret.png": "secret.png is missing",
        "a\0.png": "control characters",
        "n" * 5000: "is missing",
    }.items():
        with pytest.raises(DataError, match=words):
            source.mask(f"Polyp/{name}")


def test_folders_within_folders_within_folders(tmp_path: Path) -> None:
    """As deep as there are names for it: nothing here recurs."""
    root, here = pictures(tmp_path / "set"), Path.cwd()
    try:
        os.chdir(root / "cat")
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(here)
    try:
        assert len(load("folder", dir=root).train) == 16
        assert len(list(walk_files(root))) == 20
    finally:
        subprocess.run(["rm", "-rf", str(root / "cat" / "d")], check=True)  # Python's own way recurs


def test_links_in_folders(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set")
    expected = load("folder", dir=root).fingerprint
    (root / "cat" / "up").symlink_to(root)
    (root / "cat" / "loop.png").symlink_to("loop.png")
    (root / "cat" / "gone.png").symlink_to("nowhere")
    assert load("folder", dir=root).fingerprint == expected


def peak(call: Callable[[], Any]) -> float:
    """The MB that a call which must fail with a DataError takes."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            call()
        assert "\n" not in str(caught.value)
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


def head(*shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


packed = functools.partial(gzip.compress, mtime=0)  # the time of day would be in the names of tests
ZEROS = packed(bytes(1 << 26), 1)


@pytest.mark.parametrize(
    "content",
    [
        packed(head(60, 28, 28)) + ZEROS * 8,
        packed(head(60_000, 1000, 28)) + ZEROS * 20,
        packed(head(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(100)),
        packed(head(60, 28, 28) + bytes(60 * 28 * 28 - 1)),
        packed(head(60, 28, 28) + bytes(60 * 28 * 28 + 1)),
        packed(head(60, 28, 28) + bytes(60 * 28 * 28)) + b"more",
        packed(head(60, 28, 28) + bytes(60 * 28 * 28))[:-4] + b"\0\0\0\0",
        packed(head(60, 28)),
        packed(b""),
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000,
        head(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(100),
        head(60, 28, 28) + bytes(60 * 28 * 28 + 1),
        b"",
    ],
)
def test_idx_files_that_lie(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert peak(lambda: read_idx(tmp_path / "a", 3)) < 100


def test_idx_files_of_tiny_images(digits_dir: Path) -> None:
    images, labels = (digits_dir / name for name in NAMES["train"])
    images.write_bytes(idx(np.zeros((4000, 3, 5))))
    labels.write_bytes(idx(np.zeros(4000)))
    with pytest.raises(DataError, match=r"train holds images of 15 values each, got \(4000, 3, 5\)"):
        load("mnist", dir=digits_dir)


def tiff(*more: tuple[int, int, int, int | None]) -> bytes:
    """A TIFF of 10x10, with further entries (tag, type, count, value or the place of the data)."""
    data = zlib.compress(bytes(1 << 20))
    shape = [(256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)]
    entries = sorted([*shape, *more])
    place = 8 + 2 + 12 * len(entries) + 4
    rows = [struct.pack("<HHII", tag, kind, n, place if value is None else value) for tag, kind, n, value in entries]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(rows) + bytes(4) + data


def text_bomb() -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    shape = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 28), 1))
    return b"\x89PNG\r\n\x1a\n" + shape + text + chunk(b"IDAT", zlib.compress(bytes(72))) + chunk(b"IEND", b"")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n(x) (w) file closefile\nshowpage\n"
ICON = (
    b"\0\0\1\0\1\0\0\0\0\0\1\0 \0"
    + struct.pack("<II", 40, 22)
    + struct.pack("<IiiHHIIiiII", 40, 1 << 30, 1 << 30, 1, 32, 0, 0, 0, 0, 0, 0)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            tiff((322, 4, 1, 65520), (323, 4, 1, 32000), (324, 4, 1, None), (325, 4, 1, 1000)),
            "in tiles of 2,096,640,000",
        ),
        (
            tiff((322, 3, 1, 65520), (323, 3, 1, 65520), (324, 4, 1, None), (325, 4, 1, 1000)),
            "in tiles of 4,292,870,400",
        ),
        (text_bomb(), "is truncated, damaged or no image"),
        (POSTSCRIPT, "no image that Pillow knows"),
        (ICON, "no image that Pillow knows"),
        (b"P6 100000 100000 255 ", "is truncated, damaged or no image"),
        (b"", "no image that Pillow knows"),
    ],
)
def test_images_that_are_bombs_or_programs(tmp_path: Path, content: bytes, words: str) -> None:
    pictures(tmp_path)
    (tmp_path / "dog" / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load("folder", dir=tmp_path)
    with pytest.raises(DataError, match=words):
        read_image(tmp_path / "dog" / "bad.png", (8, 8, 3))


def test_tiles_that_are_larger_than_their_image_are_usual(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff((322, 4, 1, 1024), (323, 4, 1, 1024), (324, 4, 1, None), (325, 4, 1, 1037)))
    assert read_image(path, (10, 10, 1)).shape == (10, 10, 1)


def test_an_image_file_is_no_larger_than_images_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path)
    monkeypatch.setattr("kdcompress.data.index.MAX_FILE_SIZE", 500)
    picture(tmp_path / "cat" / "big.png", 5, size=(30, 30))
    with pytest.raises(DataError, match=r"big\.png has [\d,]+ bytes, above 500: no image for a model"):
        load("folder", dir=tmp_path)


def test_an_index_that_is_damaged_is_as_none(tmp_path: Path) -> None:
    from kdcompress.cache import cache_dir

    data = load("folder", dir=pictures(tmp_path / "set"))
    (index,) = cache_dir("index").glob("*/index.npz")
    whole = index.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    names, rows = np.array(["a"]), np.zeros(2, "i4,f4")
    for spoil in (
        lambda: index.write_bytes(changed),
        lambda: index.write_bytes(whole[:100]),
        lambda: index.write_bytes(b""),
        lambda: np.savez(index, names=names, rows=rows),
        lambda: np.savez(index, names=names),
        lambda: np.savez(index, names=np.array([{}]), rows=rows),
    ):
        spoil()
        recorder = Recorder()
        assert load("folder", recorder, dir=tmp_path / "set").fingerprint == data.fingerprint
        assert recorder.phases == ["checking images"]
    recorder = Recorder()
    load("folder", recorder, dir=tmp_path / "set")
    assert recorder.phases == []


def test_unlabelled_arrays_that_are_none(tmp_path: Path, digits: Dataset, recorder: Recorder) -> None:
    for x in (
        np.zeros((5, 0, 8), np.uint8),
        np.zeros((5, 8, 8, 2), np.uint8),
        np.zeros((5, 2, 2), np.uint8),
        np.zeros(5),
    ):
        np.savez(tmp_path / "x.npz", x=x)
        with pytest.raises(DataError, match=r"x\.npz: x "):
            load_unlabelled(UnlabelledSection(dir=str(tmp_path / "x.npz")), digits, recorder)


def test_images_of_pillow_s_other_formats(tmp_path: Path) -> None:
    for ending in ("ppm", "jp2"):
        Image.new("RGB", (8, 8), (9, 9, 9)).save(tmp_path / f"a.{ending}")
        assert read_image(tmp_path / f"a.{ending}", (8, 8, 3)).max() < 12
