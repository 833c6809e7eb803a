"""Progress of the trainings of a sweep, also across processes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from kdcompress.events import EpochEnded, Event, Note, PhaseEnded, PhaseEvent, PhaseStarted, Step, WarningRaised
from kdcompress.progress import Progress

_SENT = {kind.__name__: kind for kind in (EpochEnded, Note, PhaseEnded, PhaseStarted, WarningRaised)}


class Quiet(Progress):
    """Forwards only warnings.

    Args:
        progress: Receives the warnings.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__(log=False)
        self._progress = progress

    def emit(self, event: Event) -> None:
        """Forward a warning."""
        if isinstance(event, WarningRaised):
            self._progress.warn(event.text)


class Trial(Quiet):
    """Forwards phases, epochs and warnings of one trial, with its name, so that a terminal can omit them.

    Args:
        progress: Receives the events.
        trial: Setting and seed in words.
    """

    def __init__(self, progress: Progress, trial: str) -> None:
        super().__init__(progress)
        self._trial = trial

    def emit(self, event: Event) -> None:
        """Forward phases, epochs and warnings."""
        if isinstance(event, PhaseEvent) and not isinstance(event, Step):
            self._progress.emit(replace(event, trial=self._trial))
        else:
            super().emit(event)


def to_line(event: Event) -> str:
    """Serialize an event for another process.

    Args:
        event: Any event.

    Returns:
        A line of JSON; empty for events that are not sent.
    """
    kind = type(event).__name__
    return json.dumps({"event": kind, **asdict(event)}) if kind in _SENT else ""


def from_line(line: str) -> Event:
    """Deserialize an event.

    Args:
        line: Result of `to_line`, or other output of a process.

    Returns:
        The event; other output becomes a note.
    """
    try:
        fields = json.loads(line)
        return _SENT[fields.pop("event")](**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Note(text=line)
