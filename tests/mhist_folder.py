"""A small folder in MHIST's layout: random images, annotations.csv with the owners' columns and line ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from own_images import load, picture

from kdcompress.errors import DataError

HEADER = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition"


def row(name: str, votes: int, part: str) -> str:
    """A row of annotations.csv, with the label that the votes make."""
    return f"{name},{'SSA' if votes >= 4 else 'HP'},{votes},{part}"


def rows_of(train: int = 16, test: int = 8) -> list[str]:
    """Rows of both parts, their votes for SSA going 0, 1, ... 7 again and again: half HP, half SSA."""
    parts = ["train"] * train + ["test"] * test
    return [row(f"MHIST_{index:04d}.png", index % 8, part) for index, part in enumerate(parts)]


def write_rows(root: Path, rows: list[str], header: str = HEADER, newline: str = "\r\n") -> Path:
    """annotations.csv in `root`, of these rows."""
    path = root / "annotations.csv"
    path.write_bytes("".join(line + newline for line in (header, *rows)).encode())
    return path


def mhist_folder(root: Path, train: int = 16, test: int = 8, size: tuple[int, int] = (12, 12)) -> Path:
    """The folder `root` with annotations.csv and images/, as `rows_of` says."""
    rows = rows_of(train, test)
    for index, text in enumerate(rows):
        picture(root / "images" / text.partition(",")[0], 500 + index, size)
    write_rows(root, rows)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small MHIST."""
    return mhist_folder(tmp_path / "polyps")


def refused(folder: Path, words: str, **settings: Any) -> str:
    """The one line that loading fails with, which must match `words`."""
    with pytest.raises(DataError, match=words) as caught:
        load("mhist", dir=folder, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)
