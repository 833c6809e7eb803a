"""MHIST with its images in a zip file, and everything that can be wrong with that."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from mhist_folder import folder, refused
from own_images import cache_elsewhere, load

from kdcompress.cache import cache_dir
from kdcompress.data.mhist import archive as unzipping

__all__ = ["cache_elsewhere", "folder"]  # fixtures of the tests here


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


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_decompresses_without_a_limit_is_refused(folder: Path, method: int) -> None:
    image = next((folder / "images").iterdir())
    with zipfile.ZipFile(folder / "images.zip", "w", method) as archive:
        archive.write(image, f"images/{image.name}")
    shutil.rmtree(folder / "images")
    refused(folder, "is packed neither stored nor deflated; pack it anew")
