"""Names from files never lead out of their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdcompress.errors import DataError, KDCompressError, RunError
from kdcompress.paths import check_regular_file, is_safe_path, safe_join


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    (place / "inner").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    (place / "out").symlink_to(tmp_path / "outside")
    (place / "in").symlink_to(place / "inner")
    (place / "file").symlink_to(tmp_path / "outside" / "secret")
    return place


@pytest.mark.parametrize(
    "name",
    [
        "", " ", ".", "./", "..", "../x", "inner/../../x", "inner/..", "/etc/passwd", "//x", "\\x", "inner\\..\\..\\x",
        "out/secret", "out", "file", "in/../out/secret", "a\nb", "a\x00b", "\x1b[2J", None, 3, True, ["x"], {"x": 1},
    ],
)  # fmt: skip
def test_what_leads_out_or_is_no_name_is_refused(name: object, folder: Path) -> None:
    with pytest.raises(RunError, match=r"^manifest\.json: "):
        safe_join(folder, name, "manifest.json", RunError)
    assert not is_safe_path(folder, name)


@pytest.mark.parametrize("name", ["x", "inner/x", "a/b/c", "./x", "a..b", "...", "..x", "in/x", "Bücher/α.png", "a b"])
def test_what_stays_inside_is_joined(name: str, folder: Path) -> None:
    assert safe_join(folder, name, "a table", DataError) == folder / name


def test_a_folder_that_is_a_link_itself_is_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert safe_join(tmp_path / "link", "inner/x", "", RunError) == tmp_path / "link" / "inner" / "x"


def test_a_long_name_is_cut_in_the_message(folder: Path) -> None:
    with pytest.raises(RunError) as caught:
        safe_join(folder, "../" + "x" * 5000, "t", RunError)
    assert len(str(caught.value)) < 400


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero"), tmp_path):
        with pytest.raises(KDCompressError, match="it must be a file"):
            check_regular_file(path, KDCompressError)
    (tmp_path / "x").write_text("x")
    check_regular_file(tmp_path / "x", KDCompressError)
    check_regular_file(tmp_path / "gone", KDCompressError)
