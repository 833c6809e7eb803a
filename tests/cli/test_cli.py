from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.models import save_model

TINY = ["--teacher", "tiny_models:teacher", "--student", "tiny_models:student", "--limit", "400", "--epochs", "1"]
TINY += ["--set", "teacher.check=false"]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_help_teaches_by_example() -> None:
    shown = run("distill", "--help").output
    for example in ("kdcompress distill mnist-demo", "-T 8 --alpha 0.7", "--student my_models:small", "--dry-run"):
        assert example in shown


def test_list_shows_every_choice() -> None:
    shown = run("list").output
    for name in ("mnist-demo", "mnist_cnn", "mnist_mlp", "hinton", "none", "datasets:"):
        assert name in shown
    assert "hinton" not in run("list", "models").output
    wrong = run("list", "model")
    assert wrong.exit_code == 2
    assert "did you mean 'models'?" in wrong.output


def test_init_writes_a_recipe_that_works_and_spares_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    assert run("init", "--out", path).exit_code == 0
    assert "# " in path.read_text()
    assert run("distill", path, "--dry-run", "--set", "data.source=embedded").exit_code == 0
    again = run("init", "--out", path)
    assert again.exit_code == 2
    assert "exists already" in again.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnits"], "unknown recipe 'mnits' (did you mean 'mnist'?)"),
        (
            ["mnist", "--method", "hintn"],
            "unknown method 'hintn' (did you mean 'hinton'?); choices: dist, dkd, embedding, hinton",
        ),
        (["mnist", "-T", "0"], "method.temperature must be > 0, got 0.0"),
        (["mnist", "-T", "-3"], "method.temperature must be > 0, got -3.0"),
        (["mnist", "--alpha", "1.2"], "method.alpha must be <= 1, got 1.2"),
        (["mnist", "--set", "training.epoch=3"], "unknown key 'training.epoch' (did you mean 'epochs'?)"),
        (["mnist", "--set", "nonsense"], "--set takes KEY=VALUE"),
        (["mnist", "--teacher", "big.onnx"], "/big.onnx does not exist"),
        (["mnist", "--teacher", "big.pt"], "big.pt is a file of PyTorch's pickles, which can run any program"),
        (["mnist", "--teacher", "big.keras"], "/big.keras does not exist"),
        (["mnist", "--epochs", "0"], "training.epochs must be >= 1, got 0"),
        (["mnist", "--limit", "0"], "split.limit must be >= 1, got 0"),
        (["mnist", "--seed", "-1"], "seed must be >= 0, got -1"),
    ],
)
def test_wrong_usage_is_one_line_exit_2_and_no_folder(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("distill", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [p.name for p in tmp_path.iterdir() if p.name != "cache"] == []


def test_a_failure_is_one_line_and_exit_1(tmp_path: Path) -> None:
    done = run("distill", "mnist", "--data-dir", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert done.exit_code == 1
    assert done.stderr == f"kdcompress: data folder {tmp_path / 'nowhere'} does not exist\n"
    assert not (tmp_path / "run").exists()


def test_debug_shows_where_and_keeps_the_exit_code(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "kdcompress", "distill", "mnits", "--debug"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("kdcompress: unknown recipe 'mnits'")


def test_a_system_error_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    done = run("init", "--out", tmp_path / "file" / "r.toml")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"kdcompress: {tmp_path / 'file'}")
    assert done.stderr.count("\n") == 1


def test_distill_says_what_it_does_and_what_came_out(tmp_path: Path) -> None:
    done = run("distill", "mnist-demo", *TINY, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "WARNING: NOT the whole MNIST" in done.stderr
    assert "student   epoch 1/1  loss" in done.stderr
    assert "targets" in done.stderr
    assert "test accuracy  teacher" in done.stdout
    assert "points from the teacher, in this one seed" in done.stdout
    assert (tmp_path / "run" / "run.log").stat().st_size > 0
    again = run("distill", "mnist-demo", *TINY, "--out", tmp_path / "run")
    assert again.stdout == done.stdout
    assert "finished already" in again.stderr


def test_with_json_stdout_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "kdcompress", "distill", "mnist-demo", *TINY, "--json", "--no-baseline"]
    command += ["--out", str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {"run", "dataset", "teacher", "student", "baseline", "targets", "seconds"} <= result.keys()
    assert set(result["dataset"]) == {"name", "source", "n_train", "n_val", "n_test", "fingerprint"}
    assert set(result["teacher"]) == {"params", "flops", "metrics"}
    assert 0 <= result["student"]["metrics"]["accuracy"] <= 1
    # What TensorFlow writes to the file descriptors is in run.log, not among our lines.
    assert all("cuda" not in line and "I0000" not in line for line in done.stderr.splitlines())


def test_dry_run_says_sizes_and_writes_nothing(tmp_path: Path) -> None:
    done = run("distill", "mnist-demo", "--out", tmp_path / "run", "--dry-run")
    assert done.exit_code == 0, done.output
    for fact in ("1,011,466 parameters, 22,042,058 FLOPs; trained first, 12 epochs", "train 3,600", ": new"):
        assert fact in done.stdout
    assert not (tmp_path / "run").exists()
    plan = json.loads(run("distill", "mnist-demo", "--out", tmp_path / "run", "--dry-run", "--json").stdout)
    assert plan["student"]["params"] == 1_238_730


def test_data_check(digits_dir: Path, tmp_path: Path) -> None:
    done = run("data", "check", "mnist", "--data-dir", digits_dir)
    assert done.exit_code == 0
    assert "train 400, test 100, images 28x28x1" in done.stdout
    assert "class 7: train 40, test 10" in done.stdout
    assert "WARNING" in done.stderr
    (digits_dir / "t10k-labels-idx1-ubyte").write_bytes(b"")
    broken = run("data", "check", "mnist", "--data-dir", digits_dir)
    assert (broken.exit_code, broken.stderr.count("\n")) == (1, 1)
    assert run("data", "check", "minst").exit_code == 2


def test_data_get_without_a_network(tmp_path: Path) -> None:
    done = run("data", "get", "mnist")
    assert done.exit_code == 1
    assert "cannot download" in done.stderr
    assert "name a folder that holds MNIST with --data-dir" in done.stderr


def test_cache_shows_and_clears(tmp_path: Path) -> None:
    run("distill", "mnist-demo", *TINY, "--out", tmp_path / "run", "--no-baseline")
    shown = run("cache").stdout
    assert "targets" in shown
    assert "in 1 entries" in shown
    assert "freed" in run("cache", "--clear").stdout
    assert "in 0 entries" in run("cache").stdout


@pytest.fixture
def images(tmp_path: Path, digits: Any) -> Path:
    from PIL import Image

    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    Image.fromarray(digits.test.images[0, :, :, 0]).save(folder / "a.png")
    Image.fromarray(np.repeat(digits.test.images[1], 3, axis=-1)).resize((56, 56)).save(folder / "deeper" / "b.jpg")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_predict_prints_a_line_an_image(tmp_path: Path, images: Path) -> None:
    save_model(tiny_models.plain(), tmp_path / "m.keras")
    done = run("predict", tmp_path / "m.keras", images, "--csv", tmp_path / "p.csv")
    assert done.exit_code == 0, done.output
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [Path(row[0]).name for row in rows] == ["a.png", "b.jpg"]
    assert all(row[1] in "0123456789" and 0 < float(row[2]) <= 1 for row in rows)
    assert [row["class"] for row in csv.DictReader((tmp_path / "p.csv").open())] == [row[1] for row in rows]


def test_predict_goes_on_behind_a_bad_image_and_says_so(tmp_path: Path, images: Path) -> None:
    save_model(tiny_models.plain(), tmp_path / "m.keras")
    (images / "0.png").write_bytes((images / "a.png").read_bytes()[:60])
    done = run("predict", tmp_path / "m.keras", images, "--json")
    assert done.exit_code == 1
    result = json.loads(done.stdout)
    assert len(result["predictions"]) == 2
    assert "0.png is truncated, damaged or no image" in result["refused"][str(images / "0.png")]
    assert "1 of 3 images could not be read" in done.stderr


@pytest.mark.parametrize(
    ("model", "image", "words"),
    [
        ("absent.keras", "images", "absent.keras does not exist"),
        ("images", "images", "is a folder, but neither a run nor a SavedModel"),
        ("m.keras", "absent.png", "absent.png does not exist"),
        ("m.keras", "empty", "holds no images"),
    ],
)
def test_predict_with_wrong_paths(tmp_path: Path, images: Path, model: str, image: str, words: str) -> None:
    save_model(tiny_models.plain(), tmp_path / "m.keras")
    (tmp_path / "empty").mkdir()
    done = run("predict", tmp_path / model, tmp_path / image)
    assert done.exit_code == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
