"""Every parser of a stranger's file, on any bytes: what was written is loaded, or one error says why not."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder, idx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mhist_folder import HEADER, rows_of
from own_images import load, picture

from kdcompress.config.overrides import apply_override
from kdcompress.config.reading import PRESETS
from kdcompress.config.recipe import resolve
from kdcompress.config.toml_values import parse_setting
from kdcompress.data import ArrayFile, read_image
from kdcompress.data.idx import read_idx
from kdcompress.data.mhist.table import read_annotations
from kdcompress.data.rows import read_rows
from kdcompress.errors import DataError, RecipeError, RunError
from kdcompress.npz import read_npz

MOST = 150 << 20  # bytes that a parser may take for these small files: twice what may always be unpacked
some = settings(
    max_examples=150, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)  # fmt: skip


@contextmanager
def a_file(content: bytes, name: str = "file") -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / name).write_bytes(content)
        yield folder / name
    finally:
        shutil.rmtree(folder)


def parsed(parse: Callable[[], Any], error: type[Exception] = DataError) -> Any:
    """What a parser returns, or None if it raised the one error that it may."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parse()
    except error as exc:
        assert str(exc)
        assert "\n" not in str(exc)
        assert len(str(exc)) < 3000
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST


@st.composite
def mutations(draw: st.DrawFn, whole: bytes, pieces: tuple[bytes, ...] = ()) -> bytes:
    """A file with some of its bytes changed, cut out, put in twice, or replaced by pieces that mean something."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        how = draw(st.sampled_from(["flip", "cut", "end", "insert", "twice", "set"]))
        if how == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del content[at : at + draw(st.integers(1, 50))]
        elif how == "end":
            del content[at:]
        elif how == "insert":
            content[at:at] = draw(st.binary(max_size=20) | st.sampled_from((b"\0", b"\xff" * 8, *pieces)))
        elif how == "twice":
            content[at:at] = content[at : at + draw(st.integers(1, 200))]
        else:
            new = draw(
                st.binary(min_size=1, max_size=8) | st.sampled_from((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
            )
            content[at : at + len(new)] = new
    return bytes(content)


DIGITS = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)


@some
@given(st.binary(max_size=300) | mutations(idx(DIGITS)))
def test_idx(content: bytes) -> None:
    with a_file(content) as path:
        found = parsed(lambda: read_idx(path, 3))
    if found is not None:
        assert idx(found) == content


@some
@given(mutations(idx(DIGITS)), mutations(gzip.compress(idx(DIGITS), mtime=0)), st.booleans())
def test_packed_idx(content: bytes, packed: bytes, inside: bool) -> None:
    content = gzip.compress(content) if inside else packed
    with a_file(content, "file.gz") as path:
        found = parsed(lambda: read_idx(path, 3))
    if found is not None:
        assert gzip.decompress(content) == idx(found)


@some
@given(st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), st.integers(0, 300), st.booleans())
def test_idx_of_any_shape(shape: list[int], size: int, packed: bool) -> None:
    content = bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape) + bytes(size)
    with a_file(gzip.compress(content) if packed else content) as path:
        found = parsed(lambda: read_idx(path, 3))
    assert found is None or found.shape == tuple(shape)


ARRAYS = {
    "x": DIGITS,
    "y": np.arange(5),
    "ids": np.array(["a", "bö", "c", "d", "e"]),
    "f": np.zeros((2, 3), np.float32),
}


def archive(save: Callable[..., None]) -> bytes:
    out = io.BytesIO()
    save(out, **ARRAYS)
    return out.getvalue()


def read_every(path: Path) -> dict[str, np.ndarray]:
    file = ArrayFile(path)
    return {name: np.array(file[name]) for name in file.names}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@some
@given(data=st.data())
def test_npz(save: Callable[..., None], data: st.DataObject) -> None:
    content = data.draw(mutations(archive(save), (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x07")))
    with a_file(content, "a.npz") as path:
        both = (parsed(lambda: read_npz(path, RunError), RunError), parsed(lambda: read_every(path)))
    for found in both:
        for name, values in (found or {}).items():
            if name in ARRAYS:  # of a stored one, the sum is of its bytes
                assert np.array_equal(values, ARRAYS[name])


SHAPES = st.lists(st.integers(-3, 5) | st.integers(-(2**70), 2**70), max_size=4).map(tuple)
KINDS = st.sampled_from(
    ["|u1", "<i8", ">f4", "<U3", "|S5", "|b1", "|O", "|V7", "<M8[s]", "<U0", [("a", "<i4")], "i4,f4", 7, None]
)


@some
@given(
    SHAPES, KINDS, st.booleans(), st.binary(max_size=400), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
)
def test_headers_of_npy(shape: tuple[int, ...], kind: Any, fortran: bool, content: bytes, how: int) -> None:
    text = repr({"descr": kind, "fortran_order": fortran, "shape": shape}).encode()
    whole = b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text + content
    with a_file(whole, "x.npy") as path:
        plain = parsed(lambda: read_every(path.parent))
        with zipfile.ZipFile(path.parent / "a.npz", "w", how) as packed:
            packed.writestr("x.npy", whole)
        zipped = parsed(lambda: read_npz(path.parent / "a.npz", RunError), RunError)
    for found in (plain, zipped):
        if found is not None:
            assert found["x"].shape == shape
            assert found["x"].tobytes("A") in (content, b"")
    assert (plain is None) == (zipped is None)


@some
@given(st.binary(max_size=60) | mutations(b"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3), }\n"))
def test_texts_of_headers(text: bytes) -> None:
    for begin in (b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)), b"\x93NUMPY\x03\0" + struct.pack("<I", len(text))):
        with a_file(begin + text + bytes(48), "x.npy") as path:
            parsed(lambda folder=path.parent: read_every(folder))


TABLE = "path,label,partition\r\n" + "".join(f"a/{n}.png,{'cat' if n % 2 else 'dög'},train\r\n" for n in range(8))
PIECES = (
    b'"',
    b",",
    b"\r",
    b"\n",
    b";",
    b"\t",
    b"\0",
    b'""',
    b"../",
    b"/",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"x" * 300,
)


@some
@given(st.binary(max_size=200) | mutations(TABLE.encode(), PIECES))
def test_csv(content: bytes) -> None:
    with a_file(content) as path:
        found = parsed(lambda: list(read_rows(path, {"path": "", "label": ""})))
    text = content.decode("utf-8-sig", "replace").replace('"', "")
    for _, row in found or []:
        assert all(value.replace('"', "") in text for value in row.values())


# Python 3.10 writes no NUL
CELLS = st.text(st.characters(exclude_characters="" if sys.version_info >= (3, 11) else "\0"), max_size=8)


@some
@given(st.lists(st.fixed_dictionaries({"path": CELLS, "label": CELLS}), min_size=1, max_size=5))
def test_csv_that_was_written(rows: list[dict[str, str]]) -> None:
    import csv

    out = io.StringIO()
    writer = csv.DictWriter(out, ["path", "label"], quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    with a_file(out.getvalue().encode("utf-8", "surrogatepass")) as path:
        found = parsed(lambda: [row for _, row in read_rows(path, {"path": "", "label": ""})])
    if found is not None:
        assert found == [{key: value.strip() for key, value in row.items()} for row in rows]
    else:
        assert any(
            letter == "\0" or 0xD800 <= ord(letter) < 0xE000
            for row in rows
            for value in row.values()
            for letter in value
        )


IMAGES = {f"a/{n}.png": n for n in range(8)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    for name, seed in IMAGES.items():
        picture(root / name, seed)
    (root / "list.csv").write_text(TABLE, encoding="utf-8")
    load("csv", file=root / "list.csv")  # so that what is imported for it is not counted
    return root


@settings(some, max_examples=20, suppress_health_check=list(HealthCheck))
@given(content=mutations(TABLE.encode(), PIECES))
def test_a_data_set_of_a_table(images: Path, content: bytes) -> None:
    (images / "list.csv").write_bytes(content)
    data = parsed(lambda: load("csv", Recorder(), file=images / "list.csv"))
    if data is not None:
        assert {*data.train.ids.tolist(), *data.test.ids.tolist()} <= set(IMAGES)


@some
@given(mutations("\r\n".join([HEADER, *rows_of()]).encode(), (*PIECES, b"HP", b"SSA", b"train", b"7", b"-1", b"1e9")))
def test_annotations(content: bytes) -> None:
    with a_file(content, "annotations.csv") as path:
        found = parsed(lambda: read_annotations(path.parent))
    if found is not None:
        assert set(found.parts.tolist()) == {"train", "test"}
        assert 0 <= found.ssa.min() <= found.ssa.max() <= 7
        assert found.names.tolist() == sorted(set(found.names.tolist()))


def encoded(kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
@settings(some, max_examples=80)
@given(data=st.data())
def test_images(kind: str, data: st.DataObject) -> None:
    with a_file(data.draw(mutations(encoded(kind))), "a.png") as path:
        found = parsed(lambda: read_image(path, (8, 6, 3)))
    assert found is None or found.shape == (8, 6, 3)


RECIPE = (PRESETS / "mnist.toml").read_bytes()
VALUES = (
    b"[[teacher]]",
    b"[data]",
    b"= 1e999",
    b"= nan",
    b"= -1",
    b"= {}",
    b'= "\\u0000"',
    b"= [[[[",
    b"= 1979-05-27",
    b'"' * 3,
)


@some
@given(mutations(RECIPE, VALUES))
def test_recipes(content: bytes) -> None:
    with a_file(content, "a.toml") as path:
        parsed(lambda: resolve(path, files=False), RecipeError)


KEYS = st.sampled_from(
    ["training.epochs", "data.name", "teacher.members.0.model", "teacher.model", "method.name", "seed", "views",
     "student.model", "superclasses.a", "training.stages.*.epochs", "name", "a..b", "", "*"]
)  # fmt: skip
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@some
@given(st.text(max_size=30) | st.tuples(KEYS, st.text(max_size=20)).map("=".join))
def test_settings_as_text(text: str) -> None:
    pair = parsed(lambda: parse_setting(text), RecipeError)
    if pair is not None:
        parsed(lambda: resolve("mnist", dict([pair]), files=False), RecipeError)


@some
@given(KEYS | st.text(max_size=12), PLAIN)
def test_overrides(key: str, value: Any) -> None:
    parsed(
        lambda: apply_override({"training": {"stages": [{}]}, "method": {"name": "hinton"}}, key, value), RecipeError
    )
    parsed(lambda: resolve("mnist", {key: value}, files=False), RecipeError)


DEEP = 100_000


@pytest.mark.parametrize(
    "text", ["[" * DEEP, "{a=" * DEEP, "[" * DEEP + "]" * DEEP, "9" * DEEP, '"' + "x" * DEEP + '"']
)
def test_deep_and_long_settings(text: str) -> None:
    pair = parsed(lambda: parse_setting(f"seed={text}"), RecipeError)
    if pair is not None:
        parsed(lambda: resolve("mnist", dict([pair]), files=False), RecipeError)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * DEEP, "a = " + "{a=" * DEEP, "[" + "a." * DEEP + "a]", "seed = " + "9" * DEEP]
)
def test_deep_recipes(text: str) -> None:
    with a_file(text.encode(), "a.toml") as path:
        parsed(lambda: resolve(path, files=False), RecipeError)


@pytest.mark.parametrize("key", ["training.stages." + "9" * 5000, ".".join("a" * 2000), "training.stages.²"])
def test_keys_that_are_odd(key: str) -> None:
    values = {"training": {"stages": [{}]}}
    parsed(lambda: apply_override(values, f"{key}.epochs", 1), RecipeError)
