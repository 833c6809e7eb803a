"""A package that adds a method, a data set, a model, a runtime and an observer, installed and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from trust.worker import Outcome, Worker

from kdcompress import registry
from kdcompress.testing import (
    DATASET_CHECKS,
    METHOD_CHECKS,
    MODEL_CHECKS,
    OBSERVER_CHECKS,
    RUNTIME_CHECKS,
    RuntimeCase,
)

SAMPLE = Path(__file__).parents[1] / "sample_package"
RECIPE: dict[str, Any] = {
    "name": "stripes",
    "data": {"name": "stripes"},
    "teacher": {"model": "tiny", "training": {"epochs": 6, "batch_size": 20}},
    "student": {"model": "tiny"},
    "method": {"name": "mse", "alpha": 0.8},
    "training": {"epochs": 4, "batch_size": 20},
}


def check_contracts(model: str) -> None:
    """Everything of the package keeps its contract; `model` is an ONNX file. For a process that has the package."""
    subjects: list[tuple[tuple[Any, ...], Any]] = [
        (METHOD_CHECKS, registry.load("methods", "mse")(alpha=0.5)),
        (DATASET_CHECKS, registry.load("datasets", "stripes")(count=40)),
        (MODEL_CHECKS, registry.load("models", "tiny")),
        (OBSERVER_CHECKS, registry.load("observers", "lines")(file="contract.txt")),
        (RUNTIME_CHECKS, RuntimeCase(registry.load("runtimes", "reference"), Path(model))),
    ]
    for checks, subject in subjects:
        for check in checks:
            check(subject)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed the package, with its entry points."""
    folder = tmp_path_factory.mktemp("sample")
    source = shutil.copytree(SAMPLE, folder / "source")  # which setuptools writes into
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "installed"), str(source)], check=True, timeout=300)
    return folder / "installed"


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Any:
    """kdcompress in an environment with the package, in a folder of its own."""

    def run(*arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        places = os.pathsep.join([str(installed), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": places, "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, "-m", "kdcompress", *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == exit_code, done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def worker(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """As `forks`, with the package."""
    with Worker(tmp_path_factory.mktemp("worker"), [installed]) as one:
        yield one


@pytest.fixture
def forked(worker: Worker, tmp_path: Path) -> Any:
    """As `command`, for what needs TensorFlow."""

    def run(*arguments: str, exit_code: int = 0) -> Outcome:
        environment = {"KDCOMPRESS_CACHE_DIR": os.environ["KDCOMPRESS_CACHE_DIR"], "COLUMNS": "200"}
        done = worker.run(arguments, tmp_path, environment, seconds=600, megabytes=8000)
        assert done.exit == exit_code, done.err
        return done

    return run


def write_recipe(path: Path, **changes: Any) -> None:
    path.write_text(tomli_w.dumps({**RECIPE, **changes}), encoding="utf-8")


def test_list_says_where_a_choice_comes_from(command: Any) -> None:
    lines = command("list").stdout.splitlines()
    for name, text in (
        ("mse", "The student matches the teacher's logits"),
        ("stripes", "Grey images with noisy stripes, lying or standing."),
        ("tiny", "One convolution and one dense layer."),
        ("lines", "Appends the name of every event to a file, and the epoch of those that have one."),
        ("reference", "One thread whatever is asked for, no options."),
    ):
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert text in line
        assert line.endswith("(kdcompress-sample 1.2.3)")
    assert not [line for line in lines if "hinton" in line and "kdcompress-sample" in line]


@pytest.mark.slow
def test_what_a_package_adds_works_from_the_command_line(forked: Any, worker: Worker, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml")
    result = json.loads(forked("distill", "recipe.toml", "--out", "run", "--observer", "lines", "--json").out)
    events = (tmp_path / "events.txt").read_text().splitlines()
    assert (events[0].strip(), events[-1].strip()) == ("RunStarted", "RunFinished")
    assert [line for line in events if line.startswith("EpochEnded")][-1] == "EpochEnded 4"
    assert result["dataset"]["name"] == "stripes"
    assert result["student"]["metrics"]["accuracy"] > 0.8
    assert 'name = "mse"' in (tmp_path / "run" / "recipe.toml").read_text()
    forked("verify", "run")
    forked("export", "run", "--format", "onnx")
    bench = ("bench", "run", "--duration", "0.1", "--threads", "1", "--json")
    timed = json.loads(forked(*bench, "--runtime", "onnxruntime", "--runtime", "reference").out)
    assert {model["runtime"] for model in timed["models"]} == {"onnxruntime", "reference"}
    assert {model["name"] for model in timed["models"]} == {"teacher", "student"}
    assert len(timed["comparisons"]) == 2
    assert json.loads(forked(*bench).out)["models"][0]["runtime"] == "onnxruntime"
    forked("report", "run")
    files = json.loads(
        forked(
            "bench", "run/exports/student-fp32.onnx", "--duration", "0.1", "--threads", "1", "--json",
            "--runtime", "kdcompress_sample.runtime:OnnxReference",
        ).out
    )  # fmt: skip
    assert files["models"][0]["runtime"] == "kdcompress_sample.runtime:OnnxReference"
    model = str(tmp_path / "run/exports/student-fp32.onnx")
    done = worker.call("contracts.test_other_packages:check_contracts", model, cwd=tmp_path)
    assert done.exit == 0 and not done.broken, done.err


@pytest.mark.slow
def test_code_that_a_run_s_recipe_names_needs_the_user_s_word(forked: Any, tmp_path: Path) -> None:
    shutil.copy(SAMPLE / "src" / "kdcompress_sample" / "method.py", tmp_path / "mine.py")
    with (tmp_path / "mine.py").open("a") as module:
        module.write("\nopen('imported', 'a').close()\n")
    write_recipe(tmp_path / "recipe.toml", method={"name": "mine:LogitsMSE"})
    forked("distill", "recipe.toml", "--out", "run")  # a recipe that the user gives needs none
    (tmp_path / "imported").unlink()
    recipe = tmp_path / "run" / "recipe.toml"
    assert 'name = "mine:LogitsMSE"' in recipe.read_text()
    for arguments in (("export", "run", "--format", "onnx"), ("report", "run")):
        forked(*arguments)
    refused = forked("verify", "run", exit_code=1)  # the method says how many outputs the teacher has
    assert "the run's recipe names mine:LogitsMSE, code that runs only if you say so" in refused.err
    assert "add --trust-code" in refused.err
    assert not (tmp_path / "imported").exists()
    forked("verify", "run", "--trust-code")
    assert (tmp_path / "imported").exists()


def test_a_choice_that_cannot_be_had_is_one_line(command: Any, tmp_path: Path) -> None:
    for name, words in (
        ("nowhere.at_all:Method", "method nowhere.at_all:Method: importing nowhere.at_all fails: ModuleNotFoundError"),
        ("json:JSONDecoder", "method json:JSONDecoder is no subclass of kdcompress.methods"),
        ("json:Nothing", "method json:Nothing: module json has no 'Nothing'"),
        (
            "msee",
            "unknown method 'msee' (did you mean 'mse'?); choices: dist, dkd, embedding, hinton, mse, none, pseudo",
        ),
    ):
        write_recipe(tmp_path / "recipe.toml", method={"name": name})
        done = command("distill", "recipe.toml", "--dry-run", exit_code=2)
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    done = command("bench", "x.onnx", "--runtime", "referense", exit_code=2)
    assert "unknown runtime 'referense' (did you mean 'reference'?)" in done.stderr
