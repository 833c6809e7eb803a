"""Whole sweeps with small models on genuine digits."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from conftest import Recorder
from published import check_published
from trust.worker import Outcome, Worker
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.config.recipe import resolve
from kdcompress.errors import RecipeError, RunError, TrainingError, UsageError
from kdcompress.sweeping._options import make_space
from kdcompress.sweeping._space import Setting

pytestmark = pytest.mark.slow

# A trial of a student of one layer is traced in half the time, and all that is told of a trial is told of it
TINY: dict[str, Any] = {"student.model": "tiny_models:plain", "data.source": "embedded", "training.batch_size": 50}


@pytest.fixture(scope="module")
def teacher(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained teacher for all sweeps here."""
    path = tmp_path_factory.mktemp("teacher") / "t.keras"
    other_models.with_scaling(network).save(path)
    return path


def sweep(out: Path, teacher: Path, **choices: Any) -> dict[str, Any]:
    settings = {**TINY, **choices.pop("settings", {})}
    choices = {"epochs": 1, "limit": 300, "seeds": 2, **choices}
    return kdcompress.sweep("mnist-demo", teacher=teacher, out=out, settings=settings, **choices)


@pytest.fixture(scope="module")
def _swept(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        sweep(folder / "sweep", teacher, temperatures=[2], seeds=1)
    return folder / "sweep"


@pytest.fixture
def swept(_swept: Path, tmp_path: Path) -> Path:
    """A copy of a finished sweep of one trial, with T = 2 and seed 0."""
    return Path(shutil.copytree(_swept, tmp_path / "sweep"))


@pytest.fixture(scope="module")
def _whole(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        return folder / "sweep", sweep(folder / "sweep", teacher, temperatures=[1, 4])


@pytest.fixture
def whole(_whole: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    """What `command` comes to where nothing interrupts it."""
    return _whole[1]


def table(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    keys = ("method", "temperature", "alpha", "seed", "val", "test")
    return sorted(tuple(map(str, (row[key] for key in keys))) for row in result["trials"])


def test_a_grid_is_tried_and_test_is_looked_at_for_the_chosen_alone(
    teacher: Path, tmp_path: Path, recorder: Recorder
) -> None:
    result = sweep(tmp_path / "sweep", teacher, temperatures=[1, 8], alphas=[0.3, 0.9], progress=recorder)
    assert len(result["trials"]) == 8
    check_published(tmp_path / "sweep" / "sweep.json")
    best = result["best"]
    means = {(one["temperature"], one["alpha"]): one["val"]["mean"] for one in result["settings"]}
    assert best["val"]["mean"] == max(means.values())
    for row in result["trials"]:
        chosen = (row["temperature"], row["alpha"]) == (best["temperature"], best["alpha"])
        assert (row["test"] is not None) == chosen
        assert 0 < row["val"] <= 1
    gain = result["gain"]
    tested = [row["test"] for row in result["trials"] if row["test"] is not None]
    assert gain["mean"] == pytest.approx(np.mean(tested) - np.mean(result["baseline"]["by_seed"]))
    assert gain["n"] == 2
    assert recorder.phases.count("labelling") == 1
    # A student of a sweep is the student of a run
    run = kdcompress.distill(
        "mnist-demo", teacher=teacher, out=tmp_path / "run", epochs=1, limit=300, seed=1,
        temperature=best["temperature"], alpha=best["alpha"], settings=TINY,
    )  # fmt: skip
    assert run.result["student"]["metrics"]["accuracy"] == pytest.approx(result["student"]["by_seed"][1], abs=2e-3)
    assert run.result["baseline"]["metrics"]["accuracy"] == pytest.approx(result["baseline"]["by_seed"][1], abs=2e-3)
    again = Recorder()
    repeated = sweep(tmp_path / "sweep", teacher, temperatures=[1, 8], alphas=[0.3, 0.9], progress=again)
    assert table(repeated) == table(result)
    assert not [note for note in again.notes if "seed" in note]
    page = Path(kdcompress.report(tmp_path / "sweep")["report"]).read_text()
    for words in (
        "Accuracy on validation over T",
        "Accuracy on validation over alpha",
        result["worth"]["sentence"][1:60],
    ):
        assert words in page


def test_a_grid_may_grow(teacher: Path, swept: Path, recorder: Recorder) -> None:
    result = sweep(swept, teacher, temperatures=[2, 4], seeds=2, progress=recorder)
    assert len(result["trials"]) == 4
    trained = [note for note in recorder.notes if "seed" in note]
    assert len(trained) == 3
    assert not any("T 2 " in note and "seed 0" in note for note in trained)


def test_methods_share_what_they_can(tmp_path: Path, recorder: Recorder) -> None:
    settings = {**TINY, "student.model": "mnist_mlp", "teacher.model": "mnist_mlp", "teacher.check": False}
    result = kdcompress.sweep(
        "mnist-demo", methods=["hinton", "none", "subclass"], temperatures=[2, 4], seeds=1, epochs=1, limit=300,
        out=tmp_path / "sweep", settings=settings, progress=recorder,
    )  # fmt: skip
    assert [(row["method"], row["temperature"]) for row in result["settings"]] == [
        ("hinton", 2.0), ("hinton", 4.0), ("none", None), ("subclass", 2.0), ("subclass", 4.0),
    ]  # fmt: skip
    assert recorder.phases.count("labelling") == 2
    assert recorder.phases.count("teacher") == 2
    assert result["gain"]["low"] is None


def test_a_setting_that_diverges_is_recorded_and_the_sweep_goes_on(teacher: Path, tmp_path: Path) -> None:
    result = sweep(tmp_path / "sweep", teacher, temperatures=[2, 1e-46], seeds=1)
    failed = [row for row in result["trials"] if row["reason"]]
    assert len(failed) == 1
    assert "diverged" in failed[0]["reason"]
    assert failed[0]["val"] is None
    assert result["best"]["temperature"] == 2
    recorder = Recorder()
    again = sweep(tmp_path / "sweep", teacher, temperatures=[2, 1e-46], seeds=1, progress=recorder)
    assert table(again) == table(result)
    assert not [note for note in recorder.notes if "diverged" in note]  # it is not tried again
    with pytest.raises(TrainingError, match="no setting of the sweep could be trained"):
        sweep(tmp_path / "other", teacher, temperatures=[1e-46], seeds=1)


def test_tpe_proposes_between_the_values(teacher: Path, tmp_path: Path, recorder: Recorder) -> None:
    choices: dict[str, Any] = {"temperatures": [1, 16], "alphas": [0.1, 0.9], "trials": 3, "seeds": 1}
    result = sweep(tmp_path / "sweep", teacher, **choices, progress=recorder)
    found = {(one["temperature"], one["alpha"]) for one in result["settings"]}
    assert len(found) == 3
    assert all(1 <= t <= 16 and 0.1 <= a <= 0.9 for t, a in found)
    again = sweep(tmp_path / "sweep", teacher, **choices)
    assert table(again) == table(result)


def command(out: Path, teacher: Path, *more: str) -> list[str]:
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    return [
        sys.executable, "-m", "kdcompress", "sweep", "mnist-demo", "--teacher", str(teacher), "-T", "1,4",
        "--seeds", "2", "--epochs", "1", "--limit", "300", "--out", str(out), "--json", *settings, *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run_in_fork(forks: Worker, out: Path, teacher: Path, *more: str, **how: Any) -> Outcome:
    """The command in a process of its own."""
    cache = {"KDCOMPRESS_CACHE_DIR": os.environ["KDCOMPRESS_CACHE_DIR"]}
    return forks.run(command(out, teacher, *more)[3:], out.parent, cache, seconds=300, megabytes=8000, **how)


def test_a_killed_sweep_goes_on_and_ends_with_the_same_table(
    teacher: Path, whole: dict[str, Any], forks: Worker, tmp_path: Path
) -> None:
    def trials(text: str) -> list[str]:
        return [line.split(":")[0] for line in text.splitlines() if "seed" in line]

    def kill_after_two(process: int) -> None:
        if len(trials((forks.folder / "stderr").read_text())) >= 2:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    killed = run_in_fork(forks, tmp_path / "sweep", teacher, meanwhile=kill_after_two)
    assert killed.exit == -signal.SIGKILL
    done = trials(killed.err)
    assert 2 <= len(done) < 4
    finished = run_in_fork(forks, tmp_path / "sweep", teacher)
    assert finished.exit == 0, finished.err
    assert not [name for name in done if name in finished.err]  # what was done is not done again
    result = json.loads(finished.out)
    assert len(result["trials"]) == 4
    assert table(result) == table(whole)


@pytest.mark.exhaustive  # tests/observers has two jobs in `make test`
def test_jobs_share_the_trials(teacher: Path, forks: Worker, tmp_path: Path) -> None:
    finished = run_in_fork(forks, tmp_path / "sweep", teacher, "--jobs", "2")
    assert finished.exit == 0, finished.err
    assert len(json.loads(finished.out)["trials"]) == 4
    assert "ended early" not in finished.err


@pytest.mark.exhaustive
def test_several_processes_share_one_sweep(teacher: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            command(tmp_path / "sweep", teacher),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    results = [json.loads(out) for out, _ in answers]
    assert table(results[0]) == table(results[1]) == table(whole)
    lines = [line.split(":")[0] for _, err in answers for line in err.splitlines() if ", seed" in line]
    assert len(lines) == len(set(lines)) == 4  # nobody did what another did


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"seeds": 0}, UsageError, "--seeds must be >= 1, got 0"),
        ({"trials": 0}, UsageError, "--trials must be >= 1, got 0"),
        ({"trials": 2}, UsageError, "give two or more of one of them"),
        ({"jobs": 0}, UsageError, "--jobs must be >= 1, got 0"),
        ({"temperatures": []}, UsageError, "--temperature must name a value"),
        ({"temperatures": [0.0]}, RecipeError, r"method\.temperature must be > 0, got 0\.0"),
        ({"alphas": [0.5, 1.5]}, RecipeError, r"method\.alpha must be <= 1, got 1\.5"),
        ({"methods": ["hintn"]}, RecipeError, r"unknown method 'hintn' \(did you mean 'hinton'\?\)"),
        ({"storage": "nonsense"}, UsageError, "--storage must be a database URL such as sqlite"),
        (
            {"storage": "sqlite:////nowhere/at/all.db"},
            RunError,
            r"storage sqlite:////nowhere/at/all\.db does not respond",
        ),
    ],
)
def test_what_is_asked_for_wrongly(
    teacher: Path, tmp_path: Path, choices: dict[str, Any], error: type, words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        sweep(tmp_path / "sweep", teacher, **choices)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_shown(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises((RunError, UsageError)) as caught:
        sweep(tmp_path / "sweep", teacher, storage="postgresql://me:secret@127.0.0.1:9/x")
    assert "secret" not in str(caught.value)


def test_folders_of_something_else(teacher: Path, swept: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"another recipe: teacher\.training\.epochs is 1"):
        sweep(swept, teacher, temperatures=[2], seeds=1, epochs=2)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with pytest.raises(RunError, match=r"holds a\.png and no sweep"):
        sweep(tmp_path / "photos", teacher)
    with pytest.raises(RunError, match="is not finished"):
        (swept / "sweep.json").unlink()
        kdcompress.report(swept)


def test_the_space_of_a_recipe_is_its_own_setting() -> None:
    base = resolve("mnist")
    space = make_space(base, None, None, None, 3, None)
    assert space.settings == [Setting("hinton", 4.0, 0.5)]
    assert space.seeds == (0, 1, 2)
    assert make_space(base, ["none", "hinton"], [1, 1, 2], [0.5], 1, None).settings == [
        Setting("none"), Setting("hinton", 1, 0.5), Setting("hinton", 2, 0.5),
    ]  # fmt: skip


def test_the_command_line(teacher: Path, _whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    shutil.copytree(_whole[0], tmp_path / "sweep")  # tried already: what is told is told again
    arguments = command(tmp_path / "sweep", teacher)[3:]
    arguments.remove("--json")
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "validation accuracy" in done.stdout
    assert done.stdout.count("chosen") == 1
    assert "gain " in done.stdout
    wrong = CliRunner().invoke(app, ["sweep", "mnist-demo", "-T", "a,b"])
    assert wrong.exit_code == 2
    assert "--temperature takes numbers between commas, such as 1,2,4, got 'a,b'" in wrong.stderr


def test_the_students_of_other_settings_do_not_pile_up(teacher: Path, tmp_path: Path) -> None:
    result = sweep(tmp_path / "sweep", teacher, temperatures=[1, 2, 4], seeds=1)
    kept = list((tmp_path / "sweep" / "trials").glob("*/student.keras"))
    assert len(kept) == 2  # the chosen setting's, and the baseline's
    accuracy = result["student"]["by_seed"][0]
    assert any(_score(path) == pytest.approx(accuracy) for path in kept)


def _score(path: Path) -> float:
    from kdcompress.data import make_source
    from kdcompress.progress import Progress

    test = make_source({"name": "mnist", "source": "embedded"}).load(Progress()).test
    model = keras.saving.load_model(path)
    return float(np.mean(np.asarray(model(test.images[:].astype(np.float32))).argmax(-1) == test.labels))


def test_other_data_or_another_model_in_the_same_place_are_another_sweep(
    network: Any, teacher: Path, tmp_path: Path, digits_dir: Path
) -> None:
    teacher = Path(shutil.copy(teacher, tmp_path))
    choices: dict[str, Any] = {"seeds": 1, "limit": None, "data_dir": digits_dir}
    settings = {"data.source": "auto", "split.validation_fraction": 0.2}
    first = sweep(tmp_path / "sweep", teacher, settings=settings, **choices)
    labels = digits_dir / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    labels.write_bytes(content[:-1] + bytes([(content[-1] + 1) % 10]))
    recorder = Recorder()
    second = sweep(tmp_path / "sweep", teacher, settings=settings, progress=recorder, **choices)
    assert [note for note in recorder.notes if ", seed 0" in note]  # trained anew
    assert second["dataset"]["fingerprint"] != first["dataset"]["fingerprint"]
    network_too = keras.models.clone_model(other_models.with_scaling(network))
    network_too.set_weights([w * 1.01 for w in network.get_weights()])
    network_too.save(teacher)
    again = Recorder()
    sweep(tmp_path / "sweep", teacher, settings=settings, progress=again, **choices)
    assert [note for note in again.notes if ", seed 0" in note]


def test_other_settings_of_a_method_are_another_sweep(tmp_path: Path) -> None:
    settings = {**TINY, "student.model": "mnist_mlp", "teacher.model": "mnist_mlp", "teacher.check": False}
    choices: dict[str, Any] = {"method": "subclass", "seeds": 1, "epochs": 1, "limit": 300, "out": tmp_path / "sweep"}
    kdcompress.sweep("mnist-demo", settings={**settings, "method.subclasses": 2}, **choices)
    with pytest.raises(RunError, match=r"another recipe: method\.subclasses is 2 there, 3 here"):
        kdcompress.sweep("mnist-demo", settings={**settings, "method.subclasses": 3}, **choices)


def test_a_smaller_sweep_does_not_work_off_a_larger_one(teacher: Path, tmp_path: Path) -> None:
    class Stop(Recorder):
        def note(self, text: str) -> None:
            if ", seed" in text:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "sweep", teacher, temperatures=[1, 2, 4, 8], seeds=2, progress=Stop())
    recorder = Recorder()
    result = sweep(tmp_path / "sweep", teacher, temperatures=[8], seeds=1, progress=recorder)
    assert len([note for note in recorder.notes if ", seed" in note]) == 1
    assert [(row["temperature"], row["seed"]) for row in result["trials"]] == [(8.0, 0)]


def test_a_trial_that_never_gave_a_sign_of_life_is_done_again(teacher: Path, swept: Path) -> None:
    import optuna

    storage = f"sqlite:///{swept / 'study.db'}"
    (name,) = [name for name in optuna.study.get_all_study_names(storage) if name.endswith("grid")]
    study = optuna.load_study(study_name=name, storage=storage)
    asked = {"method": "hinton", "temperature": 4.0, "alpha": 0.5, "seed": 0}
    study.enqueue_trial(asked, user_attrs={"asked": asked})
    study.ask()  # taken by a process that is killed at once
    result = sweep(swept, teacher, temperatures=[2, 4], seeds=1)
    assert [row["temperature"] for row in result["settings"]] == [2.0, 4.0]
    assert all(row["val"] is not None for row in result["trials"])


def test_a_sweep_that_was_killed_as_it_began_begins_again(teacher: Path, swept: Path) -> None:
    for name in ("space.json", "sweep.json"):
        (swept / name).unlink()
    assert len(sweep(swept, teacher, temperatures=[2], seeds=1)["trials"]) == 1
