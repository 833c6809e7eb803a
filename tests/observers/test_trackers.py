"""What TensorBoard and MLflow hold of a run, read back with their own readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_runs
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner
from watchers import Interrupting

from kdcompress.cli._app import app
from kdcompress.observers import Observer
from kdcompress.observers.mlflow import MLflow
from kdcompress.observers.tensorboard import TensorBoard
from kdcompress.progress import Progress


def distill(out: Path, **choices: Any) -> Any:
    return tiny_runs.distill(out, limit=320, **choices)


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    """The points of a curve, as TensorBoard shows it."""
    accumulator = EventAccumulator(str(folder)).Reload()
    return [(point.step, pytest.approx(point.value)) for point in accumulator.Scalars(tag)]


def curve(run: Path, phase: str, column: str) -> list[tuple[int, float]]:
    """The points of a column of the history."""
    lines = [line.split(",") for line in (run / "history.csv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    return [(int(row["epoch"]), float(row[column])) for row in rows if row["phase"] == phase]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of MLflow's, slow to make; artefacts go to the folder where it is opened first."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        MlflowClient(uri).search_experiments()
    return uri


@pytest.fixture(scope="module")
def tracked(store: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that was interrupted in its student's second epoch and then resumed, on both trackers."""
    folder = tmp_path_factory.mktemp("tracked")
    observers: dict[str, Any] = {"observers.tensorboard.name": "tensorboard", "observers.mlflow.tracking_uri": store}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        patch.chdir(folder)
        settings = {**observers, "observers.mlflow.experiment": "digits", "observers.mlflow.log_artifacts": True}
        with pytest.raises(KeyboardInterrupt):
            distill(folder / "runs/it's", settings=settings, progress=Progress(Interrupting(at=3)))
        (run,) = MlflowClient(store).search_runs([experiment(store, "digits")])
        assert run.info.status == "KILLED"
        return distill(folder / "runs/it's", settings=settings)


def experiment(store: str, name: str) -> str:
    found = MlflowClient(store).get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


def test_tensorboard_has_a_curve_for_each_training(tracked: Any) -> None:
    folder = tracked.path.parent / "tensorboard" / tracked.path.name
    for phase in ("student", "baseline"):
        for column in ("loss", "label_loss", "accuracy", "val_accuracy", "val_loss", "seconds"):
            assert points(folder / phase, column) == curve(tracked.path, phase, column)
    assert points(folder / "student", "targets_loss") == curve(tracked.path, "student", "targets_loss")


def test_tensorboard_has_the_recipe_and_the_figures_on_test(tracked: Any) -> None:
    folder = tracked.path.parent / "tensorboard" / tracked.path.name
    result = tracked.result
    text = EventAccumulator(str(folder)).Reload().Tensors("recipe")[0].tensor_proto.string_val[0].decode()
    assert json.loads(text.removeprefix("```json\n").removesuffix("\n```"))["student"]["model"] == "tiny_models:student"
    for role in ("teacher", "student", "baseline"):
        assert points(folder / role, "test/accuracy") == [(0, result[role]["metrics"]["accuracy"])]
    assert points(folder / "student", "params") == [(0, result.student.params)]
    assert points(folder, "ratio/params") == [(0, result.student.params / result.teacher.params)]
    gain = result.student.metrics.accuracy - result["baseline"]["metrics"]["accuracy"]
    assert points(folder, "gain/accuracy") == [(0, gain)]


def test_mlflow_has_one_run_with_settings_curves_and_figures(tracked: Any, store: str) -> None:
    client = MlflowClient(store)
    (run,) = client.search_runs([experiment(store, "digits")])
    assert (run.info.status, run.info.run_name) == ("FINISHED", tracked.path.name)
    assert run.data.tags["kdcompress.run"] == str(tracked.path)
    assert run.data.params["method.temperature"] == "4.0"
    assert run.data.params["student.model"] == "tiny_models:student"
    assert run.data.params["baseline"] == "true"
    assert not [name for name in run.data.params if name.startswith("observers")]
    for phase in ("student", "baseline"):
        history = client.get_metric_history(run.info.run_id, f"{phase}/val_loss")
        assert [(one.step, one.value) for one in history] == curve(tracked.path, phase, "val_loss")
    assert run.data.metrics["student/test/accuracy"] == tracked.result.student.metrics.accuracy
    assert run.data.metrics["ratio/params"] == tracked.result.student.params / tracked.result.teacher.params
    assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"student.keras", "metrics.json"}


def replay(observer: Observer, run: Path, values: list[float], resumed: bool = False, trial: str = "") -> None:
    """A sweep of one training, without training."""
    from kdcompress.events import EpochEnded, RunStarted, SweepFinished

    observer.observe(RunStarted(run=run, recipe={"name": "x", "seed": 0}, resumed=resumed))
    for epoch, value in enumerate(values, start=1):
        metrics = {"loss": value, "accuracy": float("nan")}
        observer.observe(EpochEnded(phase="student", epoch=epoch, epochs=3, metrics=metrics, trial=trial))
    result = {"metric": "auc", "seconds": 1.0, "student": {"test": {"mean": 0.75}}, "teacher": {"test": 0.9}}
    observer.observe(SweepFinished(run=run, result=result))
    observer.close()


def test_a_run_made_anew_replaces_its_curves(tmp_path: Path) -> None:
    replay(TensorBoard(log_dir=str(tmp_path)), tmp_path / "runs/a", [3.0, 2.0, 1.0])
    (file,) = (tmp_path / "a/student").iterdir()
    file.rename(file.with_name("events.out.tfevents.1.first"))  # names hold the second, and are read in their order
    replay(TensorBoard(log_dir=str(tmp_path)), tmp_path / "runs/a", [0.5, 0.4])
    assert points(tmp_path / "a/student", "loss") == [(1, 0.5), (2, pytest.approx(0.4))]
    assert "accuracy" not in EventAccumulator(str(tmp_path / "a/student")).Reload().Tags()["scalars"]


def test_a_sweeps_trainings_have_curves_of_their_own(tmp_path: Path, store: str) -> None:
    trial = "hinton T 4 alpha 0.5 seed 0"
    replay(TensorBoard(log_dir=str(tmp_path)), tmp_path / "s", [0.5], trial=trial)
    assert points(tmp_path / "s/hinton-T-4-alpha-0.5-seed-0/student", "loss") == [(1, 0.5)]
    assert points(tmp_path / "s/student", "test/auc") == [(0, 0.75)]
    for resumed in (False, True):
        replay(MLflow(experiment="sweep", tracking_uri=store), tmp_path / "s", [0.5], resumed, trial)
    runs = MlflowClient(store).search_runs([experiment(store, "sweep")])
    names = {run.info.run_name: run for run in runs}
    assert len(runs) == 2
    assert names[trial].data.tags["mlflow.parentRunId"] == names["s"].info.run_id
    assert names[trial].data.metrics == {"student/loss": 0.5}
    assert names["s"].data.metrics == {"student/test/auc": 0.75, "teacher/test/auc": 0.9, "seconds": 1.0}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["distill", "mnist-demo", "--teacher", "tiny_models:teacher", "--student", "tiny_models:student"]
    command += ["--limit", "320", "--epochs", "1", "--no-baseline", "--set", "teacher.check=false"]
    command += ["--observer", "tensorboard", "--observer", "watchers:Breaking"]
    done = CliRunner().invoke(app, [*command, "--out", "runs/a"])
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stderr.splitlines() if "observer" in line]
    assert line == "WARNING: observer watchers:Breaking failed and is left out from now on: ValueError: no space"
    assert points(tmp_path / "runs/tensorboard/a/student", "loss") == curve(tmp_path / "runs/a", "student", "loss")
    wrong = CliRunner().invoke(app, ["distill", "mnist-demo", "--observer", "tensorbord", "--out", "runs/b"])
    assert wrong.exit_code == 2
    assert "unknown observer 'tensorbord' (did you mean 'tensorboard'?); choices: mlflow, tensorboard" in wrong.stderr
    assert not (tmp_path / "runs/b").exists()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for more in (["--dry-run"], []):
        missing = CliRunner().invoke(app, [*command, "--out", "runs/b", *more])
        assert missing.exit_code == 1
        assert 'pip install "kdcompress[tensorboard]"' in missing.stderr
    assert not (tmp_path / "runs/b").exists()
