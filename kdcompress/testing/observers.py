"""The contract of an observer; a subject is an Observer with its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcompress.config.choices import make_choice
from kdcompress.errors import RecipeError
from kdcompress.events import (
    ArtefactWritten,
    EpochEnded,
    Event,
    Note,
    PhaseEnded,
    PhaseStarted,
    RunFailed,
    RunFinished,
    RunStarted,
    Step,
    SweepFinished,
    WarningRaised,
)
from kdcompress.leftovers import temporary_folder
from kdcompress.observers import Observer
from kdcompress.testing._imports import check_light_import

_RECIPE = {"name": "contract", "seed": 0, "method": {"name": "hinton", "temperature": 4.0}, "training": {"stages": []}}
_MODEL = {"params": 7850, "flops": None, "metrics": {"accuracy": 0.5, "auc": None}}
_RUN = {"teacher": _MODEL, "student": _MODEL, "baseline": None, "seconds": 1.5}
_SWEEP = {
    "metric": "accuracy", "teacher": {"test": 0.75}, "student": {"test": {"mean": 0.5}},
    "baseline": {"test": {"mean": 0.5}}, "seconds": 1.5,
}  # fmt: skip


def check_settings(observer: Observer) -> None:
    """Settings survive the way through a recipe, and an unknown one is refused."""
    settings = observer.to_dict()
    assert make_choice("observers", settings).to_dict() == settings, "settings change on their way through a recipe"
    try:
        make_choice("observers", {**settings, "no_such_setting": 1})
    except RecipeError as exc:
        assert "no_such_setting" in str(exc)
    else:
        raise AssertionError("a setting that the observer does not have is taken")


def check_import(observer: Observer) -> None:
    """The observer's module imports no heavy library."""
    check_light_import(type(observer))


def check_run(observer: Observer) -> None:
    """A whole run can be observed."""
    with _run() as run:
        _observe(observer, [*_begun(run), *_trained("student", 2), RunFinished(run=run, result=_RUN)])


def check_resume(observer: Observer) -> None:
    """A run that is interrupted, resumed, and then fails can be observed."""
    with _run() as run:
        stopped = RunFailed(run=run, error="KeyboardInterrupt: no message", interrupted=True)
        _observe(observer, [*_begun(run), *_trained("student", 1), stopped])
        failed = RunFailed(run=run, error="TrainingError: the loss is nan", interrupted=False)
        _observe(observer, [*_begun(run, resumed=True), *_trained("student", 2, first=2), failed])


def check_sweep(observer: Observer) -> None:
    """A sweep can be observed, whose trainings take turns."""
    with _run() as run:
        trials = ["hinton T 4 alpha 0.5 seed 0", "hinton T 8 alpha 0.5 seed 0"]
        one, other = (_trained("student", 2, trial=trial) for trial in trials)
        in_turns = [event for pair in zip(one, other, strict=True) for event in pair]
        _observe(observer, [*_begun(run), *in_turns, SweepFinished(run=run, result=_SWEEP)])


def check_close(observer: Observer) -> None:
    """An observer that heard nothing, or of a failure alone, can be closed."""
    with _run() as run:
        _observe(observer, [])
        _observe(observer, [RunFailed(run=run, error="OSError: no space left", interrupted=False)])


def _observe(observer: Observer, events: list[Event]) -> None:
    """Let a new observer of the same settings hear events, as a run does."""
    fresh = type(observer)(**observer.model_dump())
    fresh.check()
    for event in events:
        fresh.observe(event)
    fresh.close()


@contextmanager
def _run() -> Iterator[Path]:
    with temporary_folder() as folder:
        run = folder / "runs" / "contract"
        run.mkdir(parents=True)
        for name in ("student.keras", "metrics.json"):
            (run / name).write_bytes(b"{}")
        yield run


def _begun(run: Path, resumed: bool = False) -> list[Event]:
    artefacts = [ArtefactWritten(path=run / name, name=name) for name in ("student.keras", "metrics.json")]
    note, warning = Note(text="a note"), WarningRaised(text="a warning")
    return [RunStarted(run=run, recipe=_RECIPE, resumed=resumed), note, warning, *artefacts]


def _trained(phase: str, epochs: int, first: int = 1, trial: str = "") -> list[Event]:
    begun: list[Event] = [PhaseStarted(phase=phase, trial=trial, total=2 * epochs, done=2 * (first - 1))]
    for epoch in range(first, epochs + 1):
        metrics = {"loss": 1 / epoch, "accuracy": float("nan"), "val_accuracy": 0.5, "val_loss": 0.5, "seconds": 0.1}
        if not trial:
            begun.append(Step(phase=phase, done=2 * epoch, figures={"loss": 1 / epoch}))
        begun.append(EpochEnded(phase=phase, trial=trial, epoch=epoch, epochs=epochs, metrics=metrics))
    return [*begun, PhaseEnded(phase=phase, trial=trial)]


OBSERVER_CHECKS: tuple[Callable[[Observer], None], ...] = (
    check_settings, check_import, check_run, check_resume, check_sweep, check_close,
)  # fmt: skip
"""Each takes an Observer with its settings."""
