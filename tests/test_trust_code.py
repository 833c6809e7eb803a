"""Programs that come with a file do not run; those that the user names do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from earlier import RUN, needs_its_keras
from PIL import Image
from tiny_runs import distill
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.errors import ModelError
from kdcompress.runs.folder import RunFolder


def cli(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run from a stranger, whose recipe names programs that lie in the run and in the current folder."""
    run = Path(shutil.copytree(RUN, tmp_path / "sent"))
    recipe = (run / "recipe.toml").read_text()
    for name in ("small_teacher:trained", "small_models:student"):
        assert name in recipe
        recipe = recipe.replace(name, "evil_module:go")
    (run / "recipe.toml").write_text(recipe)
    RunFolder(run).commit("recipe.toml")
    for folder in (run, tmp_path):
        (folder / "evil_module.py").write_text(f"open({str(tmp_path / 'MARK')!r}, 'w')\ndef go():\n    return 1\n")
    monkeypatch.chdir(run)
    return run


@needs_its_keras
def test_a_runs_recipe_is_no_reason_to_run_its_programs(sent: Path, digit: Path) -> None:
    assert cli("predict", ".", digit).exit_code == 0
    assert cli("verify", ".").exit_code == 0
    assert cli("export", ".", "--parity-samples", "20").exit_code == 0
    assert cli("bench", ".", "--duration", "0.02", "--threads", "1").exit_code == 0
    compressed = cli("compress", ".", "--channels", "0.5", "--epochs", "1")
    assert compressed.exit_code == 0, compressed.output
    assert cli("sweep", ".").exit_code == 2
    assert cli("report", ".").exit_code == 0
    assert not (sent.parent / "MARK").exists()


@pytest.mark.parametrize("reference", ["evil_module:go", "os:abort", "os:getcwd"])
def test_where_the_model_does_not_open_alone_the_program_is_named_and_not_run(
    reference: str, sent: Path, digit: Path
) -> None:
    recipe = (sent / "recipe.toml").read_text()
    (sent / "recipe.toml").write_text(recipe.replace("evil_module:go", reference))
    unknown = distill(sent.parent / "own", epochs=1, settings={"student.model": "tiny_models:subclassed"}).path
    for name in ("student.keras", "teacher.keras"):
        shutil.copy(unknown / "student.keras", sent / name)
    known = RunFolder(sent).manifest()["files"]
    for name in ("recipe.toml", "student.keras", "teacher.keras"):
        RunFolder(sent).commit(name, digest=known[name].get("digest", ""))
    for command in (("predict", ".", digit), ("verify", "."), ("export", "."), ("bench", ".")):
        done = cli(*command)
        assert done.exit_code == 1, command
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("kdcompress: ")]
        assert f"needs {reference} to be opened, a program that its recipe names: add --trust-code" in line
    assert not (sent.parent / "MARK").exists()
    if reference != "os:abort":  # which would end the tests
        assert cli("predict", ".", digit, "--trust-code").exit_code == 1  # it is no model, but it ran
        assert (sent.parent / "MARK").exists() == (reference == "evil_module:go")


def test_a_run_of_an_own_class_opens_with_trust_and_for_the_command_alone(tmp_path: Path, digit: Path) -> None:
    run = distill(tmp_path / "run", epochs=1, settings={"student.model": "tiny_models:subclassed", "baseline": False})
    with pytest.raises(ModelError, match="needs tiny_models:subclassed to be opened"):
        kdcompress.verify(run)
    with pytest.raises(ModelError, match="needs tiny_models:subclassed"):
        run.student()
    assert run.student(trust_code=True)(np.zeros((1, 28, 28, 1))).shape == (1, 10)
    assert kdcompress.verify(run, trust_code=True)["student"]["params"] == 7850
    with pytest.raises(ModelError, match="needs tiny_models:subclassed"):
        kdcompress.predict(run.path, [digit])
    assert kdcompress.predict(run.path, [digit], trust_code=True)


def test_what_the_user_names_runs(tmp_path: Path, digit: Path) -> None:
    assert cli("verify", "tiny_models:plain").exit_code == 0
    again = distill(tmp_path / "run", epochs=1, baseline=False)
    assert again.result["student"]["params"]


def test_a_teacher_with_a_lambda_is_refused_by_distill_and_taken_with_trust(tmp_path: Path) -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Lambda(lambda x: x / 255), layers.Flatten()])
    model.add(layers.Dense(10))
    model.save(tmp_path / "t.keras")
    given = [
        "distill",
        "mnist-demo",
        "--teacher",
        tmp_path / "t.keras",
        "--student",
        "tiny_models:plain",
        "--limit",
        "100",
    ]
    given += ["--epochs", "1", "--no-baseline", "--set", "teacher.check=false", "--out", tmp_path / "run"]
    done = cli(*given)
    assert done.exit_code == 1
    assert "it holds a Lambda layer" in done.stderr
    assert not (tmp_path / "run").exists()
    assert cli(*given, "--trust-code").exit_code == 0
    assert "it holds a Lambda layer" in cli("verify", tmp_path / "run").stderr
    assert cli("verify", tmp_path / "run", "--trust-code").exit_code == 0


@needs_its_keras
def test_the_observers_of_a_run_watch_nothing_later(sent: Path, digit: Path) -> None:
    with (sent / "recipe.toml").open("a") as file:
        file.write('\n[observers.evil]\nname = "evil_module:go"\nurl = "x"\n[observers.gone]\nname = "of-no-package"\n')
    RunFolder(sent).commit("recipe.toml")
    assert cli("predict", ".", digit).exit_code == 0
    assert cli("verify", ".").exit_code == 0
    assert cli("report", ".").exit_code == 0
    for options in ((), ("--trust-code",)):
        assert cli("verify", ".", *options).exit_code == 0
        recipe = read_resolved_recipe(sent / "recipe.toml")
        assert recipe.to_dict()["observers"] == {
            "evil": {"name": "evil_module:go", "url": "x"}, "gone": {"name": "of-no-package"},
        }  # fmt: skip
    assert not (sent.parent / "MARK").exists()
