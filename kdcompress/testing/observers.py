"""The contract of an observer; a subject is an Observer with its settings, whose packages are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kdcompress.config.choices import make_choice
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
    WarningRaised,
)
from kdcompress.leftovers import temporary_folder
from kdcompress.observers import Observer
from kdcompress.testing._imports import check_light_import

_METRICS = {"loss": 1.0, "label_loss": 1.0, "accuracy": 0.5, "val_accuracy": 0.5, "val_loss": 1.0, "seconds": 0.1}
_RESULT = {
    "dataset": {"name": "contract", "n_test": 10},
    "teacher": {"params": 10, "flops": 20, "metrics": {"accuracy": 0.9}},
    "student": {"params": 5, "flops": None, "metrics": {"accuracy": 0.8}},
    "baseline": None,
    "seconds": 1.0,
    "warnings": [],
}
_RECIPE = {"name": "contract", "seed": 0, "method": {"name": "hinton", "temperature": 4.0}, "superclasses": {}}


def check_settings(observer: Observer) -> None:
    """Settings survive the way through a recipe."""
    settings = observer.to_dict()
    assert make_choice("observers", settings).to_dict() == settings, "settings change on their way through a recipe"


def check_import(observer: Observer) -> None:
    """The observer's module imports no heavy library."""
    check_light_import(type(observer))


def check_run(observer: Observer) -> None:
    """A whole run is heard without an error, resumed or not."""
    for resumed in (False, True):
        with temporary_folder() as folder:
            own = observer.model_copy(deep=True)
            own.check()
            for event in (*_events(folder, resumed), RunFinished(run=folder, result=_RESULT)):
                own.observe(event)
            own.close()


def check_failed_run(observer: Observer) -> None:
    """A run that fails, also before its first event, is heard without an error."""
    with temporary_folder() as folder:
        for events in (_events(folder, False), []):
            own = observer.model_copy(deep=True)
            own.check()
            for event in (*events, RunFailed(run=folder, error="ValueError: contract", interrupted=False)):
                own.observe(event)
            own.close()


def _events(folder: Path, resumed: bool) -> list[Event]:
    return [
        RunStarted(run=folder / "run", recipe=_RECIPE, resumed=resumed),
        Note(text="a note"),
        WarningRaised(text="a warning"),
        PhaseStarted(phase="student", total=2, done=0),
        Step(phase="student", done=1, figures={"loss": 1.0}),
        EpochEnded(phase="student", epoch=1, epochs=1, metrics=_METRICS),
        PhaseEnded(phase="student"),
        PhaseStarted(phase="student", total=2, done=0, trial="hinton T 4 alpha 0.5 seed 0"),
        EpochEnded(phase="student", epoch=1, epochs=1, metrics=_METRICS, trial="hinton T 4 alpha 0.5 seed 0"),
        PhaseEnded(phase="student", trial="hinton T 4 alpha 0.5 seed 0"),
        ArtefactWritten(path=folder / "run" / "student.keras", name="student.keras"),
    ]


OBSERVER_CHECKS: tuple[Callable[[Observer], None], ...] = (check_settings, check_import, check_run, check_failed_run)
