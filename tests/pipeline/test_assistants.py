"""Chains from teacher over assistants to the student, on few genuine digits."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_runs
from conftest import Recorder
from published import check_published
from trust.worker import Worker

import kdcompress
from kdcompress.config.recipe import resolve
from kdcompress.errors import RecipeError
from kdcompress.methods import make_method
from kdcompress.models import Forward
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.starts import same_start_warnings
from kdcompress.progress import Progress

pytestmark = pytest.mark.slow

ONE: dict[str, Any] = {"assistant.model": "tiny_models:plain_mlp", "assistant.seed": 7}


class Killer(Progress):
    """Kills its own process at a step of a phase."""

    def __init__(self, phase: str, step: int) -> None:
        self.moment, self.phase = (phase, step), ""

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        self.phase = phase

    def step(self, done: int, parts: dict[str, float]) -> None:
        if (self.phase, done) == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, kdcompress.Run, Recorder]:
    """A run with one assistant, of more epochs than the student, its cache, and what it told."""
    folder, recorder = tmp_path_factory.mktemp("chained"), Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        settings = {**ONE, "assistant.training.epochs": 3}
        run = tiny_runs.distill(folder / "run", settings=settings, progress=recorder)
    return folder, run, recorder


def test_the_student_learns_from_the_assistant_and_the_assistant_from_the_teacher(
    chained: tuple[Path, kdcompress.Run, Recorder],
) -> None:
    folder, run, recorder = chained
    assert recorder.phases == ["labelling", "assistant", "labelling", "student", "baseline"]
    history = [row.split(",")[0] for row in (run.path / "history.csv").read_text().splitlines()[1:]]
    assert history == [*3 * ["assistant"], *2 * ["student"], *2 * ["baseline"]]
    # The targets of the student are the outputs of the file that the run keeps
    assistant = keras.models.load_model(run.path / "assistant.keras")
    entries = {}
    for path in (folder / "cache" / "targets").glob("*/meta.json"):
        entries[json.loads(path.read_text())["key"]["teacher"]] = np.load(path.parent / "logits.npy")
    digest = json.loads((run.path / "manifest.json").read_text())["files"]["assistant.keras"]["digest"]
    assert len(entries) == 2
    train = RecipeData(resolve(run.path / "recipe.toml"), Progress()).split.train
    assert entries[digest][:, 0] == pytest.approx(Forward(assistant)(train.images), abs=1e-3)


def test_what_is_told_of_an_assistant(chained: tuple[Path, kdcompress.Run, Recorder]) -> None:
    _, run, recorder = chained
    (told,) = run.result["assistants"]
    assert (told["name"], told["model"], told["params"]) == ("assistant", "tiny_models:plain_mlp", 784 * 16 + 16 + 170)
    assert 0 < told["metrics"]["accuracy"] < 1
    check_published(run.path / "metrics.json")
    assert any("the assistant agrees with" in note for note in recorder.notes)
    # The student is held against the teacher, not against the assistant
    verified = kdcompress.verify(run.path)
    assert verified["teacher"]["params"] == run.result["teacher"]["params"]
    page = Path(kdcompress.report(run.path)["report"]).read_text()
    assert "tiny_models:plain_mlp" in page
    assert "Between teacher and student" in page


def test_a_finished_assistant_is_taken_from_the_cache_by_another_run(
    chained: tuple[Path, kdcompress.Run, Recorder], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, run, _ = chained
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
    settings = {**ONE, "assistant.training.epochs": 3, "name": "other"}
    again = Recorder()
    other = tiny_runs.distill(tmp_path / "other", settings=settings, seed=3, progress=again)
    assert again.phases == ["student", "baseline"]
    assert "assistant tiny_models:plain_mlp: trained before, taken from the cache (3 epochs)" in again.notes
    digests = [json.loads((path / "manifest.json").read_text())["files"] for path in (run.path, other.path)]
    assert digests[0]["assistant.keras"]["digest"] == digests[1]["assistant.keras"]["digest"]
    assert digests[0]["student.keras"]["digest"] != digests[1]["student.keras"]["digest"]


def distill_until(out: str, phase: str, step: int) -> None:
    """Work on a run in this process, which is killed where a phase is given."""
    chain = [{"model": "tiny_models:plain_mlp", "seed": seed} for seed in (1, 2)]
    tiny_runs.distill(Path(out), settings={"assistant": chain}, baseline=False, progress=Killer(phase, step))


def run_until(worker: Worker, out: Path, cache: Path, phase: str = "", step: int = 0) -> None:
    environment = {"KDCOMPRESS_CACHE_DIR": str(cache)}
    target = "pipeline.test_assistants:distill_until"
    done = worker.call(target, str(out), phase, step, cwd=out.parent, env=environment)
    assert done.exit == (-signal.SIGKILL if phase else 0), done.err


def test_killed_in_every_assistant_and_the_same_models_in_the_end(forks: Worker, tmp_path: Path) -> None:
    run_until(forks, tmp_path / "whole", tmp_path / "cache1")
    for phase, step in (("assistant-1", 2), ("assistant-2", 2), ("student", 2)):
        run_until(forks, tmp_path / "killed", tmp_path / "cache2", phase, step)
    for folder in (tmp_path / "cache2" / "teachers").iterdir():  # the run has its own copies
        if folder.is_dir():
            (folder / "teacher.keras").unlink()
    run_until(forks, tmp_path / "killed", tmp_path / "cache2")
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("whole", "killed")]
    for name in ("assistant-1.keras", "assistant-2.keras", "student.keras"):
        assert len({manifest["files"][name]["digest"] for manifest in manifests}) == 1, name
    assert manifests[0]["files"]["assistant-1.keras"]["digest"] != manifests[0]["files"]["assistant-2.keras"]["digest"]


def test_a_sweep_trains_an_assistant_once_for_what_it_depends_on(tmp_path: Path) -> None:
    swept: dict[str, Any] = {"epochs": 1, "limit": 300, "seeds": 2, "temperatures": [1, 4]}
    shared = {**tiny_runs.TINY, **ONE}
    follows, fixed = Recorder(), Recorder()
    kdcompress.sweep("mnist-demo", out=tmp_path / "follows", settings=shared, progress=follows, **swept)
    assert follows.phases.count("assistant") == 2  # one for each temperature, which it shares
    kept = {**shared, "assistant.method.temperature": 2.0}
    kdcompress.sweep("mnist-demo", out=tmp_path / "fixed", settings=kept, progress=fixed, **swept)
    assert fixed.phases.count("assistant") == 1


def test_a_dry_run_names_it(tmp_path: Path) -> None:
    recipe = resolve("mnist-demo", {**tiny_runs.TINY, **ONE, "split.limit": 400})
    plan = kdcompress.api.plan(recipe, tmp_path / "run", Progress())
    (planned,) = plan["assistants"]
    assert planned["name"] == "assistant"
    assert planned["todo"].startswith("distilled first, 20 epochs, ")
    assert planned["flops"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"assistant.method.name": "none"}, "assistant.method is none, which learns nothing from the teacher"),
        ({"assistant.method.name": "subclass"}, r"assistant.method subclass has 20 outputs, and the student .* 10"),
        ({"assistant.method.name": "simkd"}, "simkd ends in its teacher's last layer, and an assistant keeps its own"),
        ({"assistant.training.choose_by": "auc"}, "assistant.training.choose_by = 'auc' is for two classes"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    recorder = Recorder()
    with pytest.raises(RecipeError, match=message):
        tiny_runs.distill(tmp_path / "run", settings={**ONE, **settings}, progress=recorder)
    assert recorder.phases == []


def test_a_student_without_a_teacher_needs_no_assistant(tmp_path: Path) -> None:
    recorder = Recorder()
    run = tiny_runs.distill(tmp_path / "run", settings=ONE, method="none", epochs=1, progress=recorder)
    assert recorder.phases == ["student"]
    assert run.result.assistants == []


def test_models_that_start_from_the_same_weights_are_named() -> None:
    born_again = resolve("mnist-demo", {"teacher.model": "mnist_mlp"})
    (warning,) = same_start_warnings(born_again, [0, 1])
    assert warning == (
        "teacher and student are both mnist_mlp and start from the same weights (seed 0); as two models they need two "
        "seeds, such as --set teacher.seed=100"
    )
    assert not list(same_start_warnings(resolve("mnist-demo", {"teacher.model": "mnist_mlp", "teacher.seed": 9}), [0]))
    assert not list(same_start_warnings(resolve("mnist-demo"), [0]))
    chain = resolve("mnist-demo", {"assistant.model": "mnist_mlp"})
    assert [warning.split(" are both")[0] for warning in same_start_warnings(chain, [0])] == ["assistant and student"]
    alone = chain.model_copy(update={"method": make_method({"name": "none"})})
    assert not list(same_start_warnings(alone, [0]))
