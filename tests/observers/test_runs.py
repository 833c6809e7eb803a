"""What observers hear of whole runs, and that none of them can break one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_runs
from conftest import Recorder
from watchers import Breaking, Interrupting, Recording

from kdcompress.config.recipe import read_resolved_recipe, resolve
from kdcompress.errors import MissingExtraError, RecipeError, TrainingError, UsageError
from kdcompress.events import (
    ArtefactWritten,
    EpochEnded,
    Event,
    Listener,
    Note,
    PhaseStarted,
    RunFailed,
    RunFinished,
    RunStarted,
    WarningRaised,
)
from kdcompress.observers import Observer
from kdcompress.progress import Progress


def distill(out: Path, **choices: Any) -> Any:
    """Few digits: 288 of them are trained on in 2 steps an epoch."""
    return tiny_runs.distill(out, limit=320, **choices)


def of(events: Sequence[Event], *kinds: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kinds)]


def order(events: Sequence[Event]) -> list[str]:
    """The events in words, without those that are not always there."""
    words = []
    for event in events:
        if not isinstance(event, Note | WarningRaised):
            about = getattr(event, "phase", getattr(event, "name", ""))
            epoch = f" {event.epoch}/{event.epochs}" if isinstance(event, EpochEnded) else ""
            words.append(f"{type(event).__name__} {about}{epoch}".rstrip())
    return words


TRAINED = ["PhaseStarted {}", "EpochEnded {} 1/2", "EpochEnded {} 2/2", "PhaseEnded {}", "ArtefactWritten {}.keras"]
WHOLE = [
    "RunStarted",
    "PhaseStarted labelling", "PhaseEnded labelling", "ArtefactWritten teacher.keras",
    *(text.format("student") for text in TRAINED),
    *(text.format("baseline") for text in TRAINED),
    "ArtefactWritten outputs/test.npz", "ArtefactWritten outputs/val.npz", "ArtefactWritten outputs/disagreements.npz",
    "ArtefactWritten history.csv", "ArtefactWritten recipe.toml", "ArtefactWritten metrics.json",
    "RunFinished",
]  # fmt: skip


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Recording]:
    """A run, and what was heard of it."""
    folder, observer = tmp_path_factory.mktemp("watched"), Recording()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        run = distill(folder / "run", observers=[observer])
    return run, observer


def test_a_run_from_start_to_end(watched: tuple[Any, Recording]) -> None:
    run, observer = watched
    assert order(observer.events) == WHOLE
    assert observer.closed == 1
    start, end = observer.events[0], observer.events[-1]
    assert isinstance(start, RunStarted)
    assert (start.run, start.resumed) == (run.path, False)
    assert start.recipe == read_resolved_recipe(run.path / "recipe.toml").to_dict()
    assert isinstance(end, RunFinished)
    assert end.result == run.result
    assert end.result["student"]["metrics"]["accuracy"] == run.result.student.metrics.accuracy


def test_epochs_carry_the_metrics_of_the_history(watched: tuple[Any, Recording]) -> None:
    run, observer = watched
    rows = [line.split(",") for line in (run.path / "history.csv").read_text().splitlines()]
    for event, row in zip(of(observer.events, EpochEnded), rows[1:], strict=True):
        written = {key: float(text) for key, text in zip(rows[0], row, strict=True) if text and key != "phase"}
        assert {"epoch": event.epoch, **event.metrics} == written
        assert event.trial == ""


def test_artefacts_are_there(watched: tuple[Any, Recording]) -> None:
    run, observer = watched
    for event in of(observer.events, ArtefactWritten):
        assert event.path == run.path / event.name
        assert event.path.is_file()


def test_a_finished_run_is_not_run_and_nothing_is_heard(watched: tuple[Any, Recording]) -> None:
    run, _ = watched
    late = Recording()
    assert distill(run.path, observers=[late]).resumed
    assert (late.events, late.closed) == ([], 0)


def test_an_interrupted_run_is_told_as_such_and_goes_on_at_its_epoch_with_other_observers(tmp_path: Path) -> None:
    first, second = Recording(), Recording()
    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", observers=first, progress=Progress(Interrupting(at=3)))
    assert of(first.events, RunFailed) == [first.events[-1]]
    assert of(first.events, RunFailed)[0].interrupted
    assert "PhaseEnded student" in order(first.events)
    assert first.closed == 1
    run = distill(tmp_path / "run", observers=second)
    assert of(second.events, RunStarted)[0].resumed
    trained = of(second.events, PhaseStarted)
    assert [(event.phase, event.done) for event in trained] == [("student", trained[0].total // 2), ("baseline", 0)]
    assert [(event.phase, event.epoch) for event in of(second.events, EpochEnded)] == [
        ("student", 2), ("baseline", 1), ("baseline", 2),
    ]  # fmt: skip
    assert of(second.events, RunFinished)[0].result == run.result


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    observer = Recording()
    with pytest.raises(TrainingError):
        distill(tmp_path / "run", observers=[observer], temperature=1e-46)
    end = observer.events[-1]
    assert isinstance(end, RunFailed)
    assert end.error.startswith("TrainingError: training the student diverged")
    assert not end.interrupted
    assert observer.closed == 1


def test_one_that_raises_is_left_out_with_one_warning_and_the_run_is_the_same(
    watched: tuple[Any, Recording], tmp_path: Path, recorder: Recorder
) -> None:
    whole, _ = watched
    bad, good = Breaking(), Recording()
    exits = Breaking(phase="baseline", raises=SystemExit)
    run = distill(tmp_path / "run", observers=[bad, exits, good], progress=recorder)
    warnings = [text for text in recorder.warnings if text.startswith("observer ")]
    assert len(warnings) == 2
    name = "watchers:Breaking"
    assert warnings[0] == f"observer {name} failed and is left out from now on: ValueError: no space"
    assert warnings[1] == f"observer {name} failed and is left out from now on: SystemExit: no space"
    assert order(bad.events) == WHOLE[:6]
    assert (bad.closed, exits.closed, good.closed) == (1, 1, 1)
    assert order(good.events) == WHOLE
    assert [event.text for event in of(good.events, WarningRaised)] == recorder.warnings
    assert run.result["warnings"] == whole.result["warnings"]
    figures = [np.load(one.path / "outputs/test.npz")["student_logits"] for one in (run, whole)]
    assert np.array_equal(*figures)


def test_an_interrupt_passes_through_an_observer(tmp_path: Path) -> None:
    observer = Breaking(raises=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        distill(tmp_path / "run", observers=[observer])
    assert order(observer.events)[-1] == "RunFailed"
    assert observer.closed == 1


def test_a_listener_of_progress_hears_the_run_too(tmp_path: Path) -> None:
    class Ends(Listener):
        heard: list[RunFinished] = []  # noqa: RUF012

        def on_run_finished(self, event: RunFinished) -> None:
            self.heard.append(event)

    distill(tmp_path / "run", baseline=False, epochs=1, progress=Progress(Ends()))
    assert len(Ends.heard) == 1


def test_names_stand_in_the_recipe_objects_do_not(tmp_path: Path) -> None:
    Recording.made.clear()
    run = distill(
        tmp_path / "run", baseline=False, epochs=1, observers=["watchers:Recording", Recording()],
        settings={"observers.Recording.word": "y"},
    )  # fmt: skip
    text = (run.path / "recipe.toml").read_text()
    assert text.endswith('\n[observers.Recording]\nname = "watchers:Recording"\nword = "y"\n')
    (heard,) = [one for one in Recording.made if one.events and one.word == "y"]
    assert order(heard.events)[-1] == "RunFinished"


def test_observers_decide_nothing() -> None:
    plain = resolve("mnist-demo")
    with_one = resolve("mnist-demo", {"observers.tensorboard.log_dir": "x"})
    assert with_one.observers["tensorboard"].log_dir == "x"
    assert (with_one.digest, with_one.identity) == (plain.digest, plain.identity)
    assert "observers" not in plain.to_toml()
    assert resolve(with_one.to_dict()).to_toml() == with_one.to_toml()
    assert with_one.to_toml().removesuffix('\n[observers.tensorboard]\nname = "tensorboard"\nlog_dir = "x"\n') == (
        plain.to_toml()
    )


@pytest.mark.parametrize(
    ("observers", "words"),
    [
        ({"tensorbord": {}}, r"unknown observer 'tensorbord' \(did you mean 'tensorboard'\?\); choices: mlflow, tenso"),
        ({"tensorboard": {"logs": "x"}}, r"unknown key 'observers.tensorboard.logs'.*choices: log_dir"),
        ({"mine": {"name": 3}}, r"observers.mine.name must be one of them, got 3; choices: mlflow, tensorboard"),
        ({"tensorboard": 3}, r"observers.tensorboard is a section, name one of its keys, got 3"),
        (["tensorboard"], r"observers is a section of sections, such as observers.tensorboard, got \['tensorboard'\]"),
        ({"a": {"name": "no_such.module:Class"}}, r"observer no_such.module:Class: importing no_such.module fails"),
        ({"a": {"name": "pathlib:Path"}}, r"is no subclass of kdcompress.observers.*Observer, as each observer must"),
    ],
)
def test_what_is_no_observer(observers: Any, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        resolve({**resolve("mnist-demo").to_dict(), "observers": observers})


def test_two_of_one_class_name_and_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="observers a:Watch and b:Watch have one name: give them labels"):
        distill(tmp_path / "run", observers=["a:Watch", "b:Watch"])
    with pytest.raises(UsageError, match=r"observers are names, .* got <built-in function print>"):
        distill(tmp_path / "run", observers=[print])


@pytest.mark.parametrize("observer", ["tensorboard", "mlflow"])
def test_a_missing_extra_is_told_before_anything_is_trained(
    observer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    words = rf'observer {observer} needs {observer}, which is not installed: pip install "kdcompress\[{observer}\]"'
    with pytest.raises(MissingExtraError, match=words):
        distill(tmp_path / "run", observers=observer)
    assert not (tmp_path / "run").exists()


def test_what_is_overridden_is_heard_alone() -> None:
    class Epochs(Observer):
        _heard: list[int] = []  # noqa: RUF012

        def on_epoch_ended(self, event: EpochEnded) -> None:
            self._heard.append(event.epoch)

    one, other = Epochs(), Epochs()
    Progress(one).epoch("student", 1, 2, {"epoch": 1, "loss": 0.5})
    Progress(one).note("x")
    assert (one._heard, other._heard) == ([1], [])
