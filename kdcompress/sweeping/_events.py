"""How the trainings of a sweep are reported, also from one process to another."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from kdcompress.events import EpochEnded, Event, Note, PhaseEnded, PhaseEvent, PhaseStarted, Step, WarningRaised
from kdcompress.progress import Progress

_SENT = {kind.__name__: kind for kind in (EpochEnded, Note, PhaseEnded, PhaseStarted, WarningRaised)}


class Quiet(Progress):
    """Passes on the warnings alone.

    Args:
        progress: What they are passed to.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__(log=False)
        self._progress = progress

    def emit(self, event: Event) -> None:
        """Pass a warning on."""
        if isinstance(event, WarningRaised):
            self._progress.warn(event.text)


class Trial(Quiet):
    """Reports one training of many: phases and epochs carry its name, so that a terminal can leave them out.

    Args:
        progress: What is reported to.
        trial: Setting and seed in words.
    """

    def __init__(self, progress: Progress, trial: str) -> None:
        super().__init__(progress)
        self._trial = trial

    def emit(self, event: Event) -> None:
        """Pass on phases, epochs and warnings."""
        if isinstance(event, PhaseEvent) and not isinstance(event, Step):
            self._progress.emit(replace(event, trial=self._trial))
        else:
            super().emit(event)


def to_line(event: Event) -> str:
    """Format an event of a trial as a line for another process; empty for one that is not sent."""
    kind = type(event).__name__
    return json.dumps({"event": kind, **asdict(event)}) if kind in _SENT else ""


def from_line(line: str) -> Event:
    """Read what `to_line` formatted; any other line becomes a note."""
    try:
        fields = json.loads(line)
        return _SENT[fields.pop("event")](**fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Note(text=line)
