"""Memory-mapped arrays on their way to a worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kdcompress.cluster._images import describe_map, open_map


@pytest.mark.parametrize("begin", [0, 1, 4000])
@pytest.mark.parametrize("offset", [0, 13, 5000])
def test_a_map_is_opened_where_it_lies(tmp_path: Path, begin: int, offset: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 7, 3), np.uint8)
    (tmp_path / "x.bin").write_bytes(b"h" * offset + pixels.tobytes())
    array = np.memmap(tmp_path / "x.bin", np.uint8, "r", offset, pixels.shape)[begin:]
    where = describe_map(array)
    assert where["file"] == str(tmp_path / "x.bin")
    assert "pixels" not in where
    again = open_map(where)
    assert isinstance(again, np.memmap)
    assert np.array_equal(again, pixels[begin:])


def test_what_is_no_contiguous_part_of_a_file_travels_itself(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(60, dtype=np.uint8).reshape(5, 4, 3))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for array in (mapped[::2], mapped[:, 1], mapped[np.array([3, 1])], mapped + 1):
        assert np.array_equal(open_map(describe_map(array)), array)
