"""The events of a run or sweep, and the base class of what listens to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events.

    Attributes:
        HANDLER: The method of `Listener` that takes events of this class.
    """

    HANDLER: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run or a sweep starts or is resumed.

    Attributes:
        run: Its folder.
        recipe: The resolved recipe as plain values, every default written out; of a sweep, the one that it varies.
        resumed: Whether it continues what was interrupted in that folder.
    """

    HANDLER: ClassVar[str] = "on_run_started"
    run: Path
    recipe: Mapping[str, Any]
    resumed: bool


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    """A run has its result.

    Attributes:
        run: Its folder.
        result: The document that `distill --json` prints.
    """

    HANDLER: ClassVar[str] = "on_run_finished"
    run: Path
    result: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SweepFinished(Event):
    """A sweep has its result.

    Attributes:
        run: Its folder.
        result: The document that `sweep --json` prints.
    """

    HANDLER: ClassVar[str] = "on_sweep_finished"
    run: Path
    result: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunFailed(Event):
    """A run or a sweep ends without a result.

    Attributes:
        run: Its folder.
        error: Type and message of the exception, in one line.
        interrupted: Whether the user stopped it (Ctrl-C or SIGTERM).
    """

    HANDLER: ClassVar[str] = "on_run_failed"
    run: Path
    error: str
    interrupted: bool


@dataclass(frozen=True, kw_only=True)
class PhaseEvent(Event):
    """Base of the events of a phase.

    Attributes:
        phase: teacher, student or baseline of a training, else what is being done, such as "labelling".
        trial: Setting and seed of a training of a sweep, such as "hinton T 4 alpha 0.5 seed 0"; empty in a run.
    """

    phase: str
    trial: str = ""


@dataclass(frozen=True, kw_only=True)
class PhaseStarted(PhaseEvent):
    """A phase starts or is resumed; a training in stages starts one for each stage.

    Attributes:
        total: The number of its steps.
        done: The number of steps that were done before.
    """

    HANDLER: ClassVar[str] = "on_phase_started"
    total: int
    done: int


@dataclass(frozen=True, kw_only=True)
class Step(PhaseEvent):
    """A step of a phase is done, such as one batch. The trainings of a sweep report none.

    Attributes:
        done: The number of steps done so far.
        figures: Running means over the epoch, such as the loss and its parts; empty outside trainings.
    """

    HANDLER: ClassVar[str] = "on_step"
    done: int
    figures: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class EpochEnded(PhaseEvent):
    """An epoch of a training ended, and its checkpoint is written.

    Attributes:
        epoch: Its number, from 1, over all stages.
        epochs: The number of epochs of the whole training.
        metrics: loss, its parts (label_loss, targets_loss, ...), accuracy, val_accuracy, val_loss, seconds, and of two
            classes val_auc.
    """

    HANDLER: ClassVar[str] = "on_epoch_ended"
    epoch: int
    epochs: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PhaseEnded(PhaseEvent):
    """A phase ended, complete or not."""

    HANDLER: ClassVar[str] = "on_phase_ended"


@dataclass(frozen=True, kw_only=True)
class ArtefactWritten(Event):
    """A file of the run is complete, and its manifest records it.

    Attributes:
        path: Where it is.
        name: Its path relative to the run, such as "student.keras".
    """

    HANDLER: ClassVar[str] = "on_artefact"
    path: Path
    name: str


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """A note for the user, in one line."""

    HANDLER: ClassVar[str] = "on_note"
    text: str


@dataclass(frozen=True, kw_only=True)
class WarningRaised(Event):
    """A warning for the user, in one line: check this before you trust the result."""

    HANDLER: ClassVar[str] = "on_warning"
    text: str


class Listener:
    """Base of what listens to events: override the methods of the events that you need."""

    def observe(self, event: Event) -> None:
        """Take an event of any kind, and pass it to its own method."""
        getattr(self, event.HANDLER)(event)

    def on_run_started(self, event: RunStarted) -> None:
        """A run or a sweep starts or is resumed."""

    def on_phase_started(self, event: PhaseStarted) -> None:
        """A phase starts or is resumed."""

    def on_step(self, event: Step) -> None:
        """A step of a phase is done."""

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """An epoch of a training ended."""

    def on_phase_ended(self, event: PhaseEnded) -> None:
        """A phase ended."""

    def on_artefact(self, event: ArtefactWritten) -> None:
        """A file of the run is complete."""

    def on_note(self, event: Note) -> None:
        """There is a note for the user."""

    def on_warning(self, event: WarningRaised) -> None:
        """There is a warning for the user."""

    def on_run_finished(self, event: RunFinished) -> None:
        """A run has its result."""

    def on_sweep_finished(self, event: SweepFinished) -> None:
        """A sweep has its result."""

    def on_run_failed(self, event: RunFailed) -> None:
        """A run or a sweep ends without a result."""
