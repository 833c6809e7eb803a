"""What a run folder is, and what it never does to files that are not its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kdcompress.config.recipe import Recipe, resolve
from kdcompress.errors import RunError
from kdcompress.runs.folder import RunFolder


@pytest.fixture
def recipe() -> Recipe:
    return resolve("mnist-demo")


def test_a_folder_with_other_things_in_it_is_refused_untouched(tmp_path: Path) -> None:
    for name in ("thesis.doc", "recipe.toml"):  # a recipe alone, as `init` writes it, makes no run
        (tmp_path / name).write_text("precious")
        with pytest.raises(RunError, match=rf"holds {name} and no run; choose another --out"):
            RunFolder(tmp_path).prepare()
        assert [p.name for p in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


@pytest.mark.parametrize("content", ["{}", '{"made_by": "somebody"}'])
def test_a_manifest_of_another_tool_makes_no_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"holds manifest\.json and no run"):
        RunFolder(tmp_path).prepare()


@pytest.mark.parametrize("content", ["", "[", "[]"])
def test_a_damaged_manifest_is_said_so(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError, match="damaged or no run's manifest"):
        RunFolder(tmp_path).prepare()


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper" / "run"):
        with pytest.raises(RunError, match="file is a file"):
            RunFolder(path).prepare()


def test_a_run_begins_goes_on_and_is_refused_to_others(tmp_path: Path, recipe: Recipe) -> None:
    run = RunFolder(tmp_path / "run")
    run.prepare()
    assert run.start_or_resume(recipe)
    assert not run.start_or_resume(recipe)
    run.prepare()
    with pytest.raises(RunError, match=r"belongs to another recipe: seed is 0 there, 1 here"):
        run.start_or_resume(resolve("mnist-demo", {"seed": 1}))


def test_what_a_killed_write_left_is_swept(tmp_path: Path, recipe: Recipe) -> None:
    part = tmp_path / ".kdcompress-part-0123456789ab-recipe.toml"
    part.write_text("half")
    run = RunFolder(tmp_path)
    run.prepare()
    assert run.start_or_resume(recipe)
    assert not part.exists()


def test_fresh_deletes_the_run_and_nothing_else(tmp_path: Path, recipe: Recipe) -> None:
    run = RunFolder(tmp_path)
    run.start_or_resume(recipe)
    (tmp_path / "student.keras").write_bytes(b"x")
    run.commit("student.keras")
    (tmp_path / "notes.txt").write_text("mine")
    run.clear()
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_what_failed_at_once_is_taken_away_and_what_is_worth_keeping_stays(tmp_path: Path, recipe: Recipe) -> None:
    run = RunFolder(tmp_path / "run")
    run.prepare()
    run.start_or_resume(recipe)
    run.discard_if_empty()
    assert not run.path.exists()
    run.prepare()
    run.start_or_resume(recipe)
    (run / "history.csv").write_text("phase,epoch\n")
    run.discard_if_empty()
    assert (run / "recipe.toml").exists()


HOLD = """
import sys, time
from pathlib import Path
from kdcompress.config.recipe import resolve
from kdcompress.runs.folder import RunFolder
run = RunFolder(Path(sys.argv[1]))
run.prepare()
with run.lock():
    run.start_or_resume(resolve("mnist-demo"))
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_does_the_first_no_harm(tmp_path: Path) -> None:
    import kdcompress

    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        before = sorted(p.name for p in (tmp_path / "run").iterdir())
        try:
            for fresh in (False, True):
                with pytest.raises(RunError, match="is in use by another process"):
                    kdcompress.distill("mnist-demo", out=tmp_path / "run", fresh=fresh)
        finally:
            other.kill()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == before
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["files"] == {}


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("exports/exports.json", "`kdcompress export .*/run` makes it again"),
        ("exports/student-int8.onnx", "`kdcompress export .*/run --format onnx --precision int8` makes it again"),
        ("exports/student-fp32.saved_model/saved_model.pb", "--format saved-model --precision fp32` makes it again"),
        ("verify.json", "`kdcompress verify .*/run` makes it again"),
        ("student.keras", "`kdcompress distill --fresh` makes the run anew"),
    ],
)
def test_a_file_that_is_gone_is_told_with_the_command_that_makes_it(name: str, remedy: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    (run / name).parent.mkdir(parents=True)
    (run / name).write_text("{}")
    run.commit(name)
    (run / name).unlink()
    with pytest.raises(RunError, match=remedy):
        run.has_file(name)
