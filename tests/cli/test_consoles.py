"""Consoles that lack letters, and names of files that are not UTF-8."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from own_images import picture

from kdcompress.cli import main
from kdcompress.files import valid_utf8


def run(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: Any) -> tuple[int, bytes, bytes]:
    """Exit code and what the command writes to a console of an encoding."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "argv", ["kdcompress", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as caught:
        main()
    written = [stream.buffer.getvalue() for stream in (out, err)]  # type: ignore[attr-defined]
    code = caught.value.code
    return int(code or 0), *written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("kočka", "狗", "chat 😺")):
        for index in range(10):
            picture(tmp_path / "photos" / name / f"ü{index}.png", 100 * number + index)
    return tmp_path / "photos"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "utf-8", "latin-1"])
def test_every_name_comes_out_on_every_console(monkeypatch: pytest.MonkeyPatch, folder: Path, encoding: str) -> None:
    code, out, err = run(monkeypatch, encoding, "data", "check", "folder", "--data-dir", folder)
    assert (code, b"unexpected" in err) == (0, False)
    lines = [line for line in out.decode(encoding).splitlines() if line.startswith("class ")]
    named = {line.removeprefix("class ").partition(":")[0] for line in lines}
    assert named == {name.encode(encoding, "backslashreplace").decode(encoding) for name in ("kočka", "狗", "chat 😺")}
    code, _, err = run(monkeypatch, encoding, "distill", "狗.toml")
    assert code == 2
    assert "\\u72d7.toml" in err.decode(encoding) or "狗.toml" in err.decode(encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_json_on_every_console(encoding: str) -> None:
    from kdcompress.cli._terminal import Terminal

    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    value = {"é": "狗 😺 \udce4 \u202e", "plain": "é"}
    Terminal(out, io.StringIO()).json(value)  # type: ignore[arg-type]
    written = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert json.loads(written.decode(encoding)) == value
    assert ("é".encode(encoding, "replace") in written) == (encoding != "ascii")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems have UTF-8 names alone")
def test_files_of_ids_stay_utf_8(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    (folder / "狗" / "ü3.png").rename(folder / "狗" / os.fsdecode(b"\xfc3.png"))
    code, _, err = run(
        monkeypatch, "utf-8", "data", "check", "folder", "--data-dir", folder, "--ids", tmp_path / "ids.csv"
    )
    assert code == 0
    rows = (tmp_path / "ids.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 31
    assert [row for row in rows if row.startswith("狗/\\xfc3.png,")]
    assert "file names that are not UTF-8: 1, the first is 狗/\\xfc3.png" in err.decode()


def test_predictions_stay_utf_8(tmp_path: Path) -> None:
    from kdcompress.prediction import write_csv

    write_csv(tmp_path / "p.csv", [{"image": "狗/\udcfc.png", "class": "kočka", "probability": 0.5}])
    text = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert text == "image,class,probability\n狗/\\xfc.png,kočka,0.5\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("é 狗 😺", "é 狗 😺"), ("a\udce4b", r"a\xe4b"), ("\ud800", r"\ud800"), ("\udcc3\udca9", "é")],
)
def test_text_as_utf_8(text: str, expected: str) -> None:
    assert valid_utf8(text) == expected
