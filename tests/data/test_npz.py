"""npz and npy files that say other things of themselves than they hold, and those that have changed."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load

from kdcompress import npz as reading
from kdcompress.cache import cache_dir, clear_cache
from kdcompress.data import ArrayFile
from kdcompress.data import checksums as _sums
from kdcompress.errors import DataError, RunError
from kdcompress.npz import open_npz, read_npz

__all__ = ["cache_elsewhere"]  # a fixture of every test here

Arrays = dict[str, np.ndarray]


def arrays() -> Arrays:
    rng = np.random.default_rng(0)
    return {"x": rng.integers(0, 256, (40, 8, 6), np.uint8), "y": np.arange(40) % 4}


def header(shape: tuple[Any, ...], descr: Any = "|u1") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def written(path: Path, how: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def refused(path: Path) -> str:
    """The one line that reading fails with, within little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(RunError) as caught:
            read_npz(path, RunError, "do this")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(f"{path} is ")
    assert text.endswith("; do this")
    assert "\n" not in text
    assert peak < 100 << 20
    return text


EVERY = {
    "x": np.arange(12).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "text": np.array(["a", "ü"]),
    "truth": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(3),
    "big": np.array([1, 2], ">i4"),
    "dates": np.array(["2020-01-01"], "M8[D]"),
    "a/b": np.zeros(1),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_wrote_is_read_as_it_was(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", **EVERY)
    found = read_npz(tmp_path / "a.npz", RunError)
    assert list(found) == list(EVERY)
    for name, value in EVERY.items():
        assert np.array_equal(found[name], value)
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        assert np.array_equal(ArrayFile(tmp_path / "a.npz")[name], value)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy(tmp_path: Path, version: tuple[int, int]) -> None:
    out = io.BytesIO()
    np.lib.format.write_array(out, EVERY["x"], version)
    written(tmp_path / "a.npz", x=out.getvalue())
    assert np.array_equal(read_npz(tmp_path / "a.npz", RunError)["x"], EVERY["x"])


def test_a_large_array_of_zeros_is_no_bomb_where_it_is_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(70 << 20, np.uint8))
    assert len(read_npz(tmp_path / "a.npz", RunError)["x"]) == 70 << 20
    np.savez_compressed(tmp_path / "b.npz", x=np.zeros(60 << 20, np.uint8))
    assert len(read_npz(tmp_path / "b.npz", RunError)["x"]) == 60 << 20
    np.savez_compressed(tmp_path / "c.npz", x=np.zeros(70 << 20, np.uint8))
    assert "unpack to 73,400,448 bytes, more than 100 times the" in refused(tmp_path / "c.npz")


def test_many_members_are_no_way_round_the_limit(tmp_path: Path) -> None:
    zeros = header((60 << 20,)) + bytes(60 << 20)
    path = written(tmp_path / "a.npz", zipfile.ZIP_DEFLATED, **dict.fromkeys("abcd", zeros))
    assert "it would unpack to" in refused(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header((10**13,)) + bytes(64), "promises 10,000,000,000,000 bytes"),
        (header((2**62, 8)) + bytes(64), "promises 36,893,488,147,419,103,232 bytes"),
        (header((10**13, 0)), "header claims"),
        (header((-1, 5)) + bytes(5), "header claims"),
        (header((-5, -1)) + bytes(5), "header claims"),
        (header((3,)) + bytes(4), "promises 3 bytes for uint8 (3,), it holds 4"),
        (header((1 << 40,), "<U0"), "header claims"),
        (header((2,), "<U100000000") + bytes(8), "promises 800,000,000 bytes"),
        (header((2,), [("a", "<i4"), ("b", "<f4")]) + bytes(16), "neither numbers nor text"),
        (header((2,), "|V1000") + bytes(2000), "neither numbers nor text"),
        (header((1,), "|O") + b"cos\nsystem\n(S'true'\ntR.", "Python objects, which could run code"),
        (header((2,), "<U1") + b"\xff" * 8, "text of characters that there are not"),
        (header((2,), "|b1") + b"\x02\x01", "truth values that are neither true nor false"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 4_000_000_000), "claims 4,000,000,000 characters"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 5000) + b"-" * 5000, "header is damaged"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 5000) + b"[" * 5000, "header is damaged"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 20) + b"__import__('os') (((", "header is damaged"),
        (b"\x93NUMPY\x01\x00" + struct.pack("<H", 3) + b"'''", "header is damaged"),
        (b"\x93NUMPY\x09\x00" + bytes(20), "no array of NumPy"),
        (b"\x93NUMPY\x01\x00\x50\x00{", "ends too soon"),
        (b"\x93NU", "ends too soon"),
        (b"", "ends too soon"),
        (b"hello, world", "no array of NumPy"),
    ],
)
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_headers_that_lie(tmp_path: Path, content: bytes, words: str, how: int) -> None:
    path = written(tmp_path / "a.npz", how, x=content)
    assert words in refused(path)
    with pytest.raises(DataError, match="array 'x' ") as caught:
        ArrayFile(path)["x"]
    assert "\n" not in str(caught.value)
    (tmp_path / "npy").mkdir()
    (tmp_path / "npy" / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match="array 'x' "):
        ArrayFile(tmp_path / "npy")["x"]


def change(content: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = content.index(mark) + offset
    return content[:at] + value + content[at + len(value) :]


def overlapping(path: Path) -> None:
    content = path.read_bytes()
    second = content.rindex(b"PK\x01\x02")
    path.write_bytes(content[: second + 42] + struct.pack("<I", 0) + content[second + 46 :])


def twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("x.npy", b"other")


def encrypted(path: Path) -> None:
    path.write_bytes(change(path.read_bytes(), b"PK\x01\x02", 8, b"\x01"))


def a_large_table(path: Path) -> None:
    path.write_bytes(change(path.read_bytes(), b"PK\x05\x06", 12, struct.pack("<I", 0x7FFFFFFF)))


def another_method(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", header((3,)) + bytes(3))


def larger_than_said(path: Path) -> None:
    content = header((1 << 28,)) + bytes(1 << 28)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    small = struct.pack("<I", 1000)
    whole = change(path.read_bytes(), b"PK\x01\x02", 24, small)
    path.write_bytes(change(whole, b"PK\x03\x04", 22, small))


def a_member_of_another_kind(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", b"hello")


def a_name_that_is_no_text(path: Path) -> None:
    content = change(path.read_bytes(), b"PK\x01\x02", 9, b"\x08")  # the names are UTF-8
    path.write_bytes(content.replace(b"x.npy", b"\xed\xa0\x80py"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (overlapping, "overlaps what stands behind it"),
        (twice, "'x.npy' is in it twice"),
        (encrypted, "'x.npy' is encrypted"),
        (a_large_table, ""),
        (another_method, "packed neither stored nor deflated"),
        (larger_than_said, ""),
        (a_member_of_another_kind, "'readme.txt' is no array"),
        (a_name_that_is_no_text, ""),
        (lambda path: path.write_bytes(b""), "not a zip"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "not a zip"),
        (lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18), ""),
    ],
)
def test_zip_files_that_are_no_good(tmp_path: Path, spoil: Callable[[Path], Any], words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays())
    spoil(tmp_path / "a.npz")
    assert words in refused(tmp_path / "a.npz")


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MAX_MEMBERS", 3)
    np.savez(tmp_path / "a.npz", *np.zeros((4, 2)))
    assert "it has 4 members, above 3" in refused(tmp_path / "a.npz")
    monkeypatch.setattr(reading, "_MAX_MEMBERS", 4)
    assert len(read_npz(tmp_path / "a.npz", RunError)) == 4


def test_what_is_no_file_and_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "none.npz", RunError)
    os.mkfifo(tmp_path / "fifo.npz")
    for path in (tmp_path, tmp_path / "fifo.npz", tmp_path / ("n" * 5000)):
        with pytest.raises(RunError):
            read_npz(path, RunError)


def flip(path: Path, name: str = "x") -> None:
    """Change a byte in the middle of an array."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"{name}.npy")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 30 + len(info.filename) + info.file_size // 2 + 100] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_changed_byte_is_told_with_file_and_array(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "a.npz"
    save(path, **arrays())
    load("arrays", dir=path)
    flip(path)
    with pytest.raises(DataError, match=r"a\.npz: array 'x' is truncated or damaged \((Bad CRC-32|Error -3)"):
        load("arrays", dir=path)
    assert "Bad CRC-32" in refused(path) or "Error -3" in refused(path)


def settled(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file look as if it was written some time ago."""
    monkeypatch.setattr(_sums, "_SETTLED_NS", -(10**18))


def read(path: Path) -> int:
    """Map the images of a file; how many members were read to compare their sums."""
    seen: list[str] = []
    check = reading.Npz.check_crc
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading.Npz, "check_crc", lambda self, name: (seen.append(name), check(self, name))[1])
        assert isinstance(ArrayFile(path)["x"], np.memmap)
    return len(seen)


def test_a_sum_is_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays())
    assert [read(path), read(path)] == [1, 1]  # written just now, it may be written again in the same tick
    settled(path, monkeypatch)
    assert [read(path), read(path)] == [1, 0]
    monkeypatch.setattr(_sums, "_KNOWN", {})  # another process
    assert read(path) == 0
    (record,) = cache_dir("index").glob("*/checked.json")
    assert json.loads(record.read_text())["sums"] == {"x": zlib.crc32(member(path))}
    for spoilt in ("", "{", json.dumps({"sums": {}}), record.read_text().replace('"bytes": ', '"bytes": 1')):
        record.write_text(spoilt)
        monkeypatch.setattr(_sums, "_KNOWN", {})
        assert [read(path), read(path)] == [1, 0]
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    assert read(path) == 1
    flip(path)
    with pytest.raises(DataError, match="Bad CRC-32"):
        read(path)
    assert clear_cache() > 0
    assert not record.exists()


def member(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("x.npy")


def test_without_a_cache_sums_are_compared_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", **arrays())
    settled(tmp_path / "a.npz", monkeypatch)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "file"))
    assert read(tmp_path / "a.npz") == 1
    monkeypatch.setattr(_sums, "_KNOWN", {})
    assert read(tmp_path / "a.npz") == 1


def test_a_large_array_is_said_to_be_read(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sums, "_LARGE", 1000)
    np.savez(tmp_path / "a.npz", **arrays())
    load("arrays", recorder, dir=tmp_path / "a.npz")
    assert [note for note in recorder.notes if "array 'x' is read once" in note]


def test_an_array_file_is_as_open_as_it_was(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays())
    a_member_of_another_kind(tmp_path / "a.npz")  # which nobody asks for
    assert ArrayFile(tmp_path / "a.npz").names == ["x", "y"]
    with open_npz(tmp_path / "a.npz") as npz, pytest.raises(KeyError):
        npz.load("z")


def last(label: int, kind: Any = np.int64) -> np.ndarray:
    """Good labels, but for the last one."""
    return np.array([number % 4 for number in range(39)] + [label], kind)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y": last(39 << 32)}, "label 167503724544 of image 39 in y is out of range: .* below 40"),
        ({"y": last(40)}, "label 40 of image 39 in y .*, so they are below 40, the number of images"),
        ({"y": last(2**64 - 1, np.uint64)}, "label 18446744073709551615 of image 39"),
        ({"y": last(-(2**63))}, "label -9223372036854775808 of image 39"),
        ({"y": np.zeros(0, int)}, "y has no labels"),
        ({"classes": np.zeros((3, 3))}, r"classes must be \(k,\) names of no more classes than there are images"),
        ({"classes": np.arange(41)}, r"no more classes than there are images \(40\), got \(41,\)"),
        ({"classes": np.array([b"\xff", b"a", b"b", b"c"])}, "classes holds bytes that are no text"),
        ({"subclasses": np.zeros((40, 2))}, r"subclasses must be \(40,\), one for each image, got \(40, 2\)"),
        ({"groups": np.zeros(40, complex)}, r"groups must be \(40,\), one for each image, of text or numbers"),
        ({"ids": np.array([b"\xff%d" % n for n in range(40)])}, "ids holds bytes that are no text"),
        ({"x": np.zeros((40, 3, 5), np.uint8)}, r"images of 15 values each, got \(40, 3, 5\); they must have 16"),
    ],
)  # fmt: skip
def test_arrays_that_ask_for_too_much(tmp_path: Path, change: Arrays, words: str) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), **change})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words) as caught:
            load("arrays", dir=tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


def test_labels_of_two_kinds(tmp_path: Path) -> None:
    parts = {
        "x_train": arrays()["x"],
        "y_train": arrays()["y"],
        "x_test": arrays()["x"],
        "y_test": np.array(["a"] * 40),
    }
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DataError, match="numbers in one part and names in another"):
        load("arrays", dir=tmp_path / "a.npz")
