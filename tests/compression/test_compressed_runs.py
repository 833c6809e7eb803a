"""A compressed student is another student of its run: in a folder as complete as the run's, named RUN:NAME."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
from tiny_runs import TINY, distill
from trust.worker import Worker
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.compression import Tuning
from kdcompress.data import Dataset
from kdcompress.errors import KDCompressError, ModelError, RecipeError, RunError, UsageError
from kdcompress.models import Forward, load_saved_model
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder

NAME = "channels-0.5"


@pytest.fixture(scope="module")
def _compressed(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compressed")
    run = Path(shutil.copytree(_finished, folder / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        kdcompress.compress(run, channels=0.5, epochs=2)
    return run


@pytest.fixture
def compressed(_compressed: Path, tmp_path: Path) -> Path:
    """A copy of a run with the student channels-0.5."""
    return Path(shutil.copytree(_compressed, tmp_path / "run"))


def cli(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_is_smaller_and_plain_keras_opens_it(compressed: Path) -> None:
    student = compressed / "students" / NAME
    before, after = (load_saved_model(folder / "student.keras") for folder in (compressed, student))
    assert after.count_params() < 0.6 * before.count_params()
    document = json.loads((student / "compress.json").read_text())
    assert document["before"]["params"] == before.count_params()
    assert document["after"]["params"] == after.count_params()
    code = "import keras, sys; print(keras.models.load_model(sys.argv[1]).count_params()); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(student / "student.keras")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(str(after.count_params())) and "kdcompress" not in done.stdout.split()


def test_its_figures_are_those_of_its_model_on_test(compressed: Path) -> None:
    student = compressed / "students" / NAME
    metrics = json.loads((student / "metrics.json").read_text())
    with np.load(student / "outputs" / "test.npz") as outputs, np.load(compressed / "outputs" / "test.npz") as first:
        accuracy = float((outputs["student_logits"].argmax(-1) == outputs["labels"]).mean())
        assert np.array_equal(outputs["teacher_logits"], first["teacher_logits"])
        assert np.array_equal(outputs["ids"], first["ids"])
    assert metrics["student"]["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert metrics["baseline"] is None


def test_every_command_takes_it(compressed: Path, tmp_path: Path) -> None:
    name = f"{compressed}:{NAME}"
    verified = kdcompress.verify(name)
    student = compressed / "students" / NAME
    assert verified["student"]["params"] == load_saved_model(student / "student.keras").count_params()
    assert json.loads((student / "verify.json").read_text())["student"] == verified["student"]
    assert kdcompress.verify(f"{compressed}:student")["student"]["params"] > verified["student"]["params"]
    exported = kdcompress.export(name, ("onnx",), ("fp32",), parity_samples=50)
    assert exported["passed"] and (student / "exports" / "student-fp32.onnx").is_file()
    timed = kdcompress.bench(name, threads=[1], duration=0.02)
    assert {row["name"] for row in timed["models"]} >= {"teacher"} and (student / "bench.json").is_file()
    pixels = np.zeros((2, 28, 28, 1), np.uint8)
    expected = Forward(load_saved_model(student / "student.keras"))(pixels).argmax(-1)
    assert [row["class"] for row in kdcompress.predict(name, pixels)] == [str(index) for index in expected]
    assert kdcompress.report(name)["report"] == str(student / "report.html")
    assert "Before and after" in (student / "report.html").read_text()
    page = Path(kdcompress.report(compressed)["report"]).read_text()
    assert "All students of the run" in page and NAME in page
    assert cli("verify", name, "--files").exit_code == 0


def test_the_same_command_returns_the_finished_student(compressed: Path, recorder: Any) -> None:
    result = kdcompress.compress(compressed, channels=0.5, epochs=2, progress=recorder)
    assert result["name"] == NAME and any("finished already" in note for note in recorder.notes)
    assert recorder.phases == []
    with pytest.raises(RunError, match=r"compress\.epochs is 2 there, 3 here; choose another --name, or --fresh"):
        kdcompress.compress(compressed, channels=0.5, epochs=3)
    other = kdcompress.compress(compressed, channels=0.5, epochs=1, name="short")
    assert (compressed / "students" / "short" / "student.keras").is_file() and other["name"] == "short"


def test_the_baseline_is_compressed_without_the_teacher(compressed: Path) -> None:
    result = kdcompress.compress(f"{compressed}:baseline", channels=0.5, epochs=1)
    assert result["name"] == f"baseline-{NAME}"
    folder = RunFolder(compressed / "students" / result["name"])
    assert 'name = "none"' in (folder.path / "recipe.toml").read_text()
    again = kdcompress.compress(f"{compressed}:{NAME}", channels=0.5, epochs=1)
    assert again["name"] == f"{NAME}-then-{NAME}" and again["before"]["params"] > again["after"]["params"]


class Killer(Progress):
    """Kills its own process at the first step of the second half of a training."""

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.moment = 0

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        self.moment = total // 2 + 1 if self.phase and phase.startswith(self.phase) else 0

    def step(self, done: int, parts: dict[str, float]) -> None:
        if done == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def compress_until(run: str, phase: str, options: dict[str, Any]) -> None:
    """Compress for two epochs in this process, which is killed after the first one where a phase is given."""
    kdcompress.compress(run, **options, epochs=2, progress=Killer(phase))


KILLED = {
    NAME: ("channels", {"channels": 0.5, "rounds": 2}),
    "qat": ("qat", {"qat": "native", "ship": "trained"}),
    "qat-tfmot": ("qat", {"qat": "tfmot", "ship": "trained"}),
}


@pytest.mark.parametrize("name", ["channels-0.5", "qat", pytest.param("qat-tfmot", marks=pytest.mark.exhaustive)])
def test_a_killed_compression_goes_on_to_the_same_weights(
    forks: Worker, brief: Path, tmp_path: Path, name: str
) -> None:
    runs = [Path(shutil.copytree(brief, tmp_path / name)) for name in ("whole", "killed")]
    phase, options = KILLED[name]

    def run(folder: Path, until: str = "") -> None:
        arguments = (str(folder), until, options | {"name": name})
        environment = {"KDCOMPRESS_CACHE_DIR": str(tmp_path / "cache")}
        done = forks.call("compression.test_compressed_runs:compress_until", *arguments, cwd=tmp_path, env=environment)
        assert done.exit == (-signal.SIGKILL if until else 0), done.err
        assert not done.broken

    run(runs[0])
    run(runs[1], phase)
    assert list((runs[1] / "students" / name / "checkpoints").iterdir())
    assert not (runs[1] / "students" / name / "metrics.json").exists()
    run(runs[1])
    manifests = [RunFolder(run / "students" / name).manifest()["files"] for run in runs]
    for file, key in (("student.keras", "digest"), *([("quantization.json", "sha256")] if phase == "qat" else [])):
        assert manifests[0][file][key] == manifests[1][file][key], file
    assert not (runs[1] / "students" / name / "checkpoints").exists()


def test_a_recipe_goes_on_to_compress_and_a_plain_run_is_then_the_compressed_student(tmp_path: Path) -> None:
    settings = {"compress": {"channels": 0.5, "epochs": 1}}
    run = distill(tmp_path / "run", settings=settings, baseline=False)
    assert run.result["compressed"]["name"] == NAME
    small = load_saved_model(run.path / "students" / NAME / "student.keras").count_params()
    assert kdcompress.verify(run.path)["student"]["params"] == small
    assert kdcompress.verify(run)["student"]["params"] == small
    assert kdcompress.verify(f"{run.path}:student")["student"]["params"] > small
    again = distill(tmp_path / "run", settings=settings, baseline=False)
    assert again.resumed and again.result["compressed"]["after"]["params"] == small
    shutil.rmtree(run.path / "students")
    with pytest.raises(RunError, match=f"the compression to {NAME} of run .* has not finished"):
        kdcompress.verify(run.path)


def test_fresh_takes_the_students_with_it(compressed: Path) -> None:
    (compressed / "students" / NAME / "mine.txt").write_text("kept")
    distill(compressed, baseline=False, epochs=1, fresh=True)
    remaining = sorted(path.relative_to(compressed).as_posix() for path in (compressed / "students").rglob("*"))
    assert remaining == [f"students/{NAME}", f"students/{NAME}/mine.txt"]


def test_the_students_of_a_sweep_are_compressed_before_they_are_judged(digits: Dataset, tmp_path: Path) -> None:
    settings = {**TINY, "compress.channels": 0.5, "compress.epochs": 1}
    result = kdcompress.sweep(
        "mnist-demo", settings=settings, epochs=1, limit=300, seeds=1, out=tmp_path / "sweep", baseline=False
    )
    students = [load_saved_model(path) for path in (tmp_path / "sweep" / "trials").glob("*/student.keras")]
    assert len(students) == 2  # of the chosen setting, with and without the teacher
    assert all(student.count_params() < tiny_models.student().count_params() for student in students)
    test = (
        kdcompress.data.make_source({"name": "mnist", "source": "embedded"}).load(kdcompress.progress.Progress()).test
    )
    by_seed = sorted(float((Forward(student)(test.images).argmax(-1) == test.labels).mean()) for student in students)
    assert sorted([*result["student"]["by_seed"], *result["baseline"]["by_seed"]]) == pytest.approx(by_seed)


REFUSED: list[tuple[dict[str, Any], type[KDCompressError], str]] = [
    ({}, RecipeError, "needs a step: set channels, a budget such as max_flops_ratio, prune, cluster or qat"),
    ({"channels": 1.0}, RecipeError, r"compress\.channels must be < 1, got 1\.0"),
    ({"channels": 0}, RecipeError, r"compress\.channels must be > 0, got 0"),
    ({"prune": -0.1}, RecipeError, r"compress\.prune must be > 0, got -0\.1"),
    ({"prune": 80}, RecipeError, r"compress\.prune must be < 1, got 80; 80 % is 0\.8$"),
    ({"cluster": 1}, RecipeError, r"compress\.cluster must be >= 2, got 1"),
    ({"qat": "int4"}, RecipeError, r"compress\.qat must be one of"),
    ({"channels": 0.5, "max_flops_ratio": 0.1}, RecipeError, "takes channels or max_flops_ratio"),
    ({"channels": 0.5, "name": "student"}, UsageError, "'student' is another model of the run"),
    ({"channels": 0.5, "name": "../up"}, UsageError, "the name of a compressed student"),
]


@pytest.mark.parametrize(("options", "kind", "text"), REFUSED, ids=[str(row[0]) for row in REFUSED])
def test_what_cannot_be_is_one_line(
    brief: Path, options: dict[str, Any], kind: type[KDCompressError], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        kdcompress.compress(brief, **options)
    assert "\n" not in str(caught.value)
    assert not (brief / "students").exists()


def test_students_that_are_not_there_are_told(compressed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"has no student 'channels-0.6'.*it has student, {NAME}"):
        kdcompress.verify(f"{compressed}:channels-0.6")
    with pytest.raises(UsageError, match=f"has no student 'other'.*it has student, {NAME}"):
        kdcompress.compress(f"{compressed}:other", channels=0.5)
    with pytest.raises(UsageError, match="compress takes a run"):
        kdcompress.compress(compressed / "student.keras", channels=0.5)
    shutil.copytree(compressed, tmp_path / "begun")
    (tmp_path / "begun" / "metrics.json").unlink()
    manifest = json.loads((tmp_path / "begun" / "manifest.json").read_text())
    del manifest["files"]["metrics.json"]
    (tmp_path / "begun" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="is not finished"):
        kdcompress.compress(tmp_path / "begun", channels=0.5)


def test_steps_one_after_the_other_have_another_name_than_steps_at_once(compressed: Path) -> None:
    plan = kdcompress.api.plan_compression
    assert plan(compressed, {"channels": 0.5, "prune": 0.8})["name"] == "channels-0.5-prune-0.8"
    assert plan(f"{compressed}:{NAME}", {"prune": 0.8})["name"] == "channels-0.5-then-prune-0.8"
    assert plan(f"{compressed}:baseline", {"prune": 0.8})["name"] == "baseline-prune-0.8"
    with pytest.raises(RunError, match=r"compress\.rounds is 1 there, 2 here; choose another --name, or --fresh"):
        kdcompress.compress(compressed, channels=0.5, rounds=2, epochs=2)


def test_students_of_a_former_student_are_told(compressed: Path, recorder: Any) -> None:
    def warnings(source: object, **options: Any) -> list[str]:
        recorder.warnings.clear()
        kdcompress.compress(source, epochs=1, progress=recorder, **options)
        return [warning for warning in recorder.warnings if "anew" in warning]

    first, then = f"{compressed}:{NAME}", compressed / "students" / "channels-0.5-then-prune-0.5"
    assert warnings(first, prune=0.5) == warnings(first, prune=0.5) == []
    kdcompress.report(compressed)
    assert "from a former" not in (compressed / "report.html").read_text()
    (again,) = warnings(compressed, channels=0.5, seed=9, fresh=True)
    assert "is another student than the one that channels-0.5-then-prune-0.5 was compressed from" in again
    (stale,) = warnings(first, prune=0.5)
    assert f"was compressed from a former {NAME}" in stale
    kdcompress.report(compressed)
    assert f"was compressed from a former {NAME}" in (compressed / "report.html").read_text()
    manifest = json.loads((then / "manifest.json").read_text())
    del manifest["files"]["metrics.json"]
    (then / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=f"was begun with a former {NAME}.*; --fresh begins this one anew"):
        kdcompress.compress(first, prune=0.5, epochs=1)
    assert warnings(first, prune=0.5, fresh=True) == []


def test_a_copy_of_its_folder_is_a_run_that_remembers_its_steps(compressed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(compressed / "students" / NAME, tmp_path / "copy"))
    document = json.loads((copy / "compress.json").read_text())
    assert kdcompress.verify(copy)["student"]["params"] == document["after"]["params"]
    again = kdcompress.compress(copy, prune=0.5, epochs=1)
    assert list(again["steps"]) == ["channels", "prune"]
    pruned = Path(shutil.copytree(copy / "students" / "prune-0.5", tmp_path / "pruned"))
    with pytest.raises(RecipeError, match="channels after prune"):
        kdcompress.compress(pruned, channels=0.5)


def test_a_run_in_a_folder_named_students_is_a_run(compressed: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(compressed, tmp_path / "students" / "alice"))
    plan = kdcompress.api.plan_compression(run, {"channels": 0.25})
    assert plan["run"] == str(run / "students" / "channels-0.25")
    assert kdcompress.api.plan_compression(run / "students" / NAME, {"prune": 0.5})["start"] == NAME


def test_a_student_that_is_not_finished_is_said_to_be_so(compressed: Path) -> None:
    shutil.copytree(compressed / "students" / NAME, compressed / "students" / "begun")
    manifest = json.loads((compressed / "students" / "begun" / "manifest.json").read_text())
    del manifest["files"]["metrics.json"]
    (compressed / "students" / "begun" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"compression to .*begun has not finished"):
        kdcompress.verify(f"{compressed}:begun")


def test_a_recipe_is_refused_before_its_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(RecipeError, match=r"compress\.start must be .*student or baseline, got 'prune-0.5'"):
        distill(run, settings={"compress.channels": 0.5, "compress.start": "prune-0.5"})
    with pytest.raises(ModelError, match="functional and Sequential students, and tiny_models:subclassed is a Subcl"):
        distill(run, settings={"compress.channels": 0.5, "student.model": "tiny_models:subclassed"})
    assert not run.exists()
    with pytest.raises(RecipeError, match=r"--set compress\.start=student"):
        kdcompress.sweep(
            "mnist-demo", settings={**TINY, "compress.prune": 0.5, "compress.start": "baseline"}, seeds=2, out=run
        )
    assert not run.exists()


def test_what_is_computed_once_is_computed_again_where_its_file_is_damaged(tmp_path: Path) -> None:
    once = functools.partial(Tuning.once, SimpleNamespace(checkpoints=tmp_path), "channels")
    assert once(lambda: {"share": 0.5}) == once(lambda: {"share": 0.1}) == {"share": 0.5}
    for damaged in ('{"share": 0.3}', "[]", "{", '{"values": 3}'):
        (tmp_path / "channels.json").write_text(damaged)
        assert once(lambda: {"share": 0.1}) == {"share": 0.1}


def test_an_unknown_home_folder_is_a_path_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        kdcompress.compress("~nobody-of-this-name", channels=0.5)


def test_a_damaged_student_does_not_keep_the_others_from_being_used(compressed: Path) -> None:
    shutil.copytree(compressed / "students" / NAME, compressed / "students" / "other")
    (compressed / "students" / "other" / "manifest.json").write_text("{")
    assert cli("verify", f"{compressed}:{NAME}", "--files").exit_code == 0
    with pytest.raises(RunError, match=r"students.other.manifest\.json is damaged"):
        kdcompress.report(compressed)


def test_what_a_students_document_says_is_checked_before_a_step_reads_it(compressed: Path) -> None:
    student = RunFolder(compressed / "students" / NAME)
    document = json.loads((student / "compress.json").read_text())
    for clusters in ("__import__('os')", 1, None, 2.5):
        document["steps"]["cluster"] = {"clusters": clusters}
        (student / "compress.json").write_text(json.dumps(document))
        student.commit("compress.json")
        with pytest.raises(RunError, match=r"compress\.json is damaged .*clusters must be a whole number >= 2"):
            kdcompress.compress(f"{compressed}:{NAME}", qat="native", epochs=1)


def test_the_command_line(brief: Path) -> None:
    planned = cli("compress", brief, "--channels", "0.5", "--dry-run")
    assert planned.exit_code == 0 and "50 % of the channels are removed" in planned.stdout
    assert not (brief / "students").exists()
    done = cli("compress", brief, "--channels", "0.5", "--epochs", "1", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["after"]["params"] < document["before"]["params"]
    shown = cli("compress", brief, "--channels", "0.5", "--epochs", "1")
    assert "after / before" in shown.stdout and "students/channels-0.5" in shown.stdout
    wrong = cli("compress", brief, "--qat", "int4")
    assert wrong.exit_code == 2 and "compress.qat must be one of" in wrong.stderr and "got 'int4'" in wrong.stderr
    for arguments in (
        ("--qat", brief),
        (brief, "--qat"),
        (brief, "--qat", "tfmot"),
        ("--qat", "tfmot", brief),
    ):
        planned = cli("compress", *arguments, "--dry-run", "--json")
        assert planned.exit_code == 0, planned.output
        assert (
            f"trained ({'tfmot' if 'tfmot' in arguments else 'native'})"
            in json.loads(planned.stdout)["steps"][0]["todo"]
        )
