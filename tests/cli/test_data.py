from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
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


def three_colours(kind: str, root: Path) -> tuple[str, Path]:
    """The same 24 images of three classes as class folders, a table or an array."""
    names = np.array(["red", "green", "blue"])[np.arange(24) % 3]
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), np.uint8)
    if kind == "arrays":
        np.savez(root / "a.npz", x=images, y=names)
        return kind, root / "a.npz"
    rows = []
    for index, (name, image) in enumerate(zip(names.tolist(), images, strict=True)):
        path = root / (name if kind == "folder" else "all") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
        rows.append([path.relative_to(root).as_posix(), name])
    if kind == "csv":
        with (root / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path", "label"], *rows])
    return kind, root


@pytest.mark.parametrize("kind", ["arrays", "csv", "folder"])
def test_classes_that_a_recipe_merges_are_counted_for_every_kind_of_data(kind: str, tmp_path: Path) -> None:
    name, place = three_colours(kind, tmp_path)
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'[data]\nname = "{name}"\n[superclasses]\nwarm = ["red"]\ncold = ["green", "blue"]\n')
    done = run("check", recipe, "--data-dir", place, "--ids", tmp_path / "ids.csv")
    assert done.exit_code == 0, done.output
    parts = [line.partition(": ") for line in done.stdout.splitlines()]
    counts = {first: [int(part.split()[1]) for part in rest.split(", ")] for first, _, rest in parts[-5:]}
    assert list(counts)[-2:] == ["merged into warm", "merged into cold"]
    assert [sum(numbers) for numbers in counts.values()] == [8, 8, 8, 8, 16]
    assert counts["merged into warm"] == counts["class red"]
    with (tmp_path / "ids.csv").open() as file:
        assert sorted({row["label"] for row in csv.DictReader(file)}) == ["cold", "warm"]


def test_a_class_to_merge_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    name, place = three_colours("folder", tmp_path)
    merged = ["--set", 'superclasses.warm=["rad"]', "--set", 'superclasses.cold=["green", "blue"]']
    done = run("check", name, "--data-dir", place, *merged)
    assert (done.exit_code, done.stdout) == (2, "")
    told = "kdcompress: superclasses: the data have no class 'rad' (did you mean 'red'?); they have blue, green, red\n"
    assert done.stderr.endswith(told)
    done = run("check", name, "--data-dir", place, "--set", "split.limit=3")
    assert done.exit_code == 2 and "data.KEY=VALUE and superclasses.NAME=CLASSES here, got" in done.stderr
