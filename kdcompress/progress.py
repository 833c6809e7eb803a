"""What long work reports to: calls become events for the listeners."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from kdcompress.events import (
    EpochEnded,
    Event,
    Listener,
    Note,
    PhaseEnded,
    PhaseEvent,
    PhaseStarted,
    Step,
    WarningRaised,
)

logger = logging.getLogger("kdcompress")


class _Log(Listener):
    """Logs notes, warnings and epochs; the many epochs of a sweep are left to observers."""

    def on_note(self, event: Note) -> None:
        """Log it."""
        logger.info(_encodable(event.text))

    def on_warning(self, event: WarningRaised) -> None:
        """Log it."""
        logger.warning(_encodable(event.text))

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Log its metrics."""
        if not event.trial:
            logger.info("%s epoch %d/%d %s", event.phase, event.epoch, event.epochs, dict(event.metrics))


class Progress:
    """Reports long work to listeners.

    Args:
        listeners: Are called with each event, in this order.
        log: Whether notes, warnings and epochs are logged, too.
    """

    listeners: tuple[Listener, ...] = (_Log(),)
    _phase = ""

    def __init__(self, *listeners: Listener, log: bool = True) -> None:
        self.listeners = (*Progress.listeners, *listeners) if log else listeners

    def emit(self, event: Event) -> None:
        """Pass an event to the listeners."""
        for listener in self.listeners:
            listener.observe(event)

    def note(self, text: str) -> None:
        """Report a note for the user, in one line."""
        self.emit(Note(text=text))

    def warn(self, text: str) -> None:
        """Report what to check before the result is trusted, in one line."""
        self.emit(WarningRaised(text=text))

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        """Report that a phase starts.

        Args:
            phase: Its name.
            total: The number of its steps.
            done: The number of steps that were done before.
        """
        self._phase = phase
        self.emit(PhaseStarted(phase=phase, total=total, done=done))

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        """Report a step of the current phase.

        Args:
            done: The number of steps done so far.
            parts: Running figures to show.
        """
        self.emit(Step(phase=self._phase, done=done, figures=parts))

    def epoch(self, phase: str, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """Report an epoch.

        Args:
            phase: The name of the training.
            epoch: The epoch's number, from 1.
            epochs: The number of epochs of the training.
            row: The epoch's metrics, as history.csv has them.
        """
        metrics = {name: value for name, value in row.items() if name != "epoch"}
        self.emit(EpochEnded(phase=phase, epoch=epoch, epochs=epochs, metrics=metrics))

    def end(self) -> None:
        """Report that the current phase ended, complete or not."""
        self.emit(PhaseEnded(phase=self._phase))
        self._phase = ""


class Calls(Listener):
    """Passes events on as calls to another Progress, which may override these.

    Args:
        progress: What is called. Calls know no trials, so the trainings of a sweep are emitted as events.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def observe(self, event: Event) -> None:
        """Call what stands for the event; events that no call stands for are emitted as they are."""
        if isinstance(event, Note | WarningRaised) or (isinstance(event, PhaseEvent) and not event.trial):
            super().observe(event)
        else:
            self._progress.emit(event)

    def on_note(self, event: Note) -> None:
        """Report the note."""
        self._progress.note(event.text)

    def on_warning(self, event: WarningRaised) -> None:
        """Report the warning."""
        self._progress.warn(event.text)

    def on_phase_started(self, event: PhaseStarted) -> None:
        """Report the phase."""
        self._progress.begin(event.phase, event.total, event.done)

    def on_step(self, event: Step) -> None:
        """Report the step."""
        self._progress.step(event.done, event.figures)

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Report the epoch."""
        self._progress.epoch(event.phase, event.epoch, event.epochs, {"epoch": event.epoch, **event.metrics})

    def on_phase_ended(self, event: PhaseEnded) -> None:
        """Report the end."""
        self._progress.end()


def _encodable(text: str) -> str:
    """Escape what UTF-8 cannot encode, such as file names of other bytes: any handler of a log may write it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
