from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kdcompress.cli._app import app


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["data", *(str(argument) for argument in arguments)])


def test_make_synthetic_says_what_it_made_and_check_reads_it(tmp_path: Path) -> None:
    out = tmp_path / "synthetic"
    done = run("make-synthetic", "mhist", "--out", out, "--count", 8, "--size", 40, "--seed", 2)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"8 synthetic images of 40x40 for mhist are in {out}\n"
    assert done.stderr.startswith("drawing ...\n")
    assert f"kdcompress data check mhist --data-dir {out}" in done.stderr
    assert len(list((out / "images").glob("*.png"))) == 8
    check = run("check", "mhist", "--data-dir", out)
    assert check.exit_code == 0, check.output
    assert "images 40x40x3" in check.stdout
    assert "synthetic" in check.output.lower()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist"], "kdcompress: there is no generator of synthetic images for 'mnist'"),
        (["mhist", "--count", 2], "kdcompress: --count must be from 4 to 100000"),
        (["mhist", "--size", 8], "kdcompress: --size must be from 32 to 1024 pixels, got 8"),
        (["mhist", "--seed", "-5"], "kdcompress: --seed must be from 0 to 4294967295, got -5"),
    ],
)
def test_wrong_usage_is_one_line_exit_2_and_no_folder(arguments: list[Any], words: str, tmp_path: Path) -> None:
    done = run("make-synthetic", *arguments, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stderr.startswith(words)
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tmp_path / "out").exists()


def test_a_used_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("make-synthetic", "mhist", "--out", tmp_path, "--count", 4)
    assert done.exit_code == 2
    assert done.stderr == f"kdcompress: --out {tmp_path} holds something already; name a folder that is new or empty\n"
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_the_group_shows_its_three_commands() -> None:
    shown = run("--help").output
    for command in ("get", "check", "make-synthetic"):
        assert command in shown
