"""Shards: files that vouch for themselves, and what is missing between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdcompress.runs.artefacts import TARGETS
from kdcompress.teachers import Piece, Shard, cut, delete_shard, missing_pieces, read_shard, write_shard
from kdcompress.teachers._shards import delete_shards

SHAPE = (10, 2, 3)  # ten samples, two views, three classes, in batches of four


def rows_of(shard: Shard) -> np.ndarray:
    return np.arange(shard.begin * 6, shard.end * 6, dtype=np.float32).reshape(-1, *SHAPE[1:])


def stored(folder: Path, begin: int, end: int) -> Piece:
    shard = Shard(begin, end)
    return Piece(shard, write_shard(folder, shard, rows_of(shard)))


def test_a_shard_is_read_as_it_was_written(tmp_path: Path) -> None:
    piece = stored(tmp_path, 4, 8)
    rows = read_shard(tmp_path, piece, SHAPE[1:])
    assert rows is not None
    assert np.array_equal(rows, rows_of(piece.shard))
    assert stored(tmp_path, 4, 8) == piece  # a second worker writes the same file
    assert len(list(tmp_path.iterdir())) == 1
    delete_shard(tmp_path, piece)
    assert read_shard(tmp_path, piece, SHAPE[1:]) is None


@pytest.mark.parametrize("damage", ["flip", "truncate", "of another shape", "renamed"])
def test_a_damaged_shard_is_no_shard(tmp_path: Path, damage: str) -> None:
    piece = stored(tmp_path, 4, 8)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[:-4])
    elif damage == "renamed":  # to the samples of another shard, of other length
        path = path.rename(tmp_path / path.name.replace("000000000008", "000000000010"))
        piece = Piece(Shard(4, 10), piece.digest)
    shape = (3, 3) if damage == "of another shape" else SHAPE[1:]
    assert read_shard(tmp_path, piece, shape) is None
    assert missing_pieces(tmp_path, 0, (10, *shape), 4) == [Piece(Shard(0, 10))]


@pytest.mark.parametrize(
    ("kept", "begin", "expected"),
    [
        ([], 0, [(0, 10, False)]),
        ([], 8, [(8, 10, False)]),
        ([], 10, []),
        ([(4, 8)], 0, [(0, 4, False), (4, 8, True), (8, 10, False)]),
        ([(0, 4), (8, 10)], 0, [(0, 4, True), (4, 8, False), (8, 10, True)]),
        ([(0, 4)], 4, [(4, 10, False)]),  # appended already
        ([(0, 8), (4, 8)], 0, [(0, 8, True), (8, 10, False)]),  # of two divisions
        ([(2, 8), (4, 7)], 0, [(0, 10, False)]),  # of another batch size
    ],
)
def test_what_is_missing(
    tmp_path: Path, kept: list[tuple[int, int]], begin: int, expected: list[tuple[int, int, bool]]
) -> None:
    for first, last in kept:
        stored(tmp_path, first, last)
    pieces = missing_pieces(tmp_path, begin, SHAPE, 4)
    assert [(one.shard.begin, one.shard.end, one.digest is not None) for one in pieces] == expected


@given(st.integers(0, 50), st.integers(0, 500), st.integers(1, 64))
def test_a_range_is_cut_without_gaps(begin: int, count: int, rows: int) -> None:
    shards = list(cut(Shard(begin, begin + count), rows))
    assert [row for shard in shards for row in range(shard.begin, shard.end)] == list(range(begin, begin + count))
    assert all(len(shard) == rows for shard in shards[:-1])


def test_what_is_left_of_shards_is_known_as_ours_and_deleted(tmp_path: Path) -> None:
    stored(tmp_path, 0, 4)
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / ".kdcompress-part-0a1b2c3d-1-shard-0.npy").write_text("of a worker that was killed")
    assert TARGETS.others(tmp_path) == []
    (tmp_path / "shard-1.npy").write_text("somebody else's")
    delete_shards(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["shard-1.npy"]
