"""A progress bar in HTML, which every front end of Jupyter shows without an extension, also of a saved notebook.

The bars of rich and tqdm need ipywidgets in the kernel and its extension in the front end; what they show is gone from
a notebook that is saved, or exported as HTML.
"""

from __future__ import annotations

import time
from html import escape
from typing import Any

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
from kdcompress.formatting import clean, duration
from kdcompress.notebook._phase import Phase

_INTERVAL = 0.25  # seconds between two updates: a front end is slowed down by hundreds of them
_MAX_PHASES, _MAX_NOTES, _MAX_WARNINGS = 8, 5, 10
_CELL = 'style="text-align:left;padding:1px 8px"'
_SMALL = 'style="font-size:90%;opacity:0.8"'
_WARNING = 'style="border-left:4px solid #e69f00;padding-left:8px;margin-top:4px"'


class ProgressBar(Listener):
    """Shows phases, notes and warnings below the cell; nothing is shown before the first of them."""

    def __init__(self) -> None:
        self._phases: list[Phase] = []
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._handle: Any = None
        self._shown_at = 0.0

    def observe(self, event: Event) -> None:
        """Take an event; those of the trials of a sweep are left to other listeners."""
        if not (isinstance(event, PhaseEvent) and event.trial):
            super().observe(event)

    def on_note(self, event: Note) -> None:
        """Show the note."""
        self._notes.append(event.text)
        self._show()

    def on_warning(self, event: WarningRaised) -> None:
        """Show the warning."""
        self._warnings.append(event.text)
        self._show()

    def on_phase_started(self, event: PhaseStarted) -> None:
        """Add a bar."""
        self._phases.append(Phase(event.phase, event.total, event.done))
        self._show()

    def on_step(self, event: Step) -> None:
        """Update the bar."""
        if self._phases:
            self._phases[-1].step(event.done, event.figures)
            self._show_sometimes()

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Show the metrics of the epoch in place of those of the epoch before."""
        if self._phases:
            self._phases[-1].epoch_ended(event)
            self._show_sometimes()

    def on_phase_ended(self, event: PhaseEnded) -> None:
        """Show the bar as it ends."""
        if self._phases:
            self._phases[-1].end()
            self._show()

    def close(self) -> None:
        """Show the last state, in which nothing runs any more."""
        if self._handle is not None:
            for phase in self._phases:
                phase.end()
            self._show()

    def html(self) -> str:
        """The bars, notes and warnings as HTML."""
        rows = [_row(phase) for phase in self._phases[-_MAX_PHASES:]]
        table = [f'<table style="margin:0;border:none"><tbody>{"".join(rows)}</tbody></table>'] if rows else []
        notes = [f"<div {_SMALL}>{_text(note)}</div>" for note in _last(self._notes, _MAX_NOTES, "notes")]
        warnings = _last(self._warnings, _MAX_WARNINGS, "warnings")
        warned = [f"<div {_WARNING}><b>Warning:</b> {_text(warning)}</div>" for warning in warnings]
        return f'<div style="margin-bottom:6px">{"".join([*table, *notes, *warned])}</div>'

    def plain(self) -> str:
        """The same as text, for front ends without HTML."""
        bars = [f"{phase.name}: {phase.fraction:.0%}, {phase.describe()}" for phase in self._phases[-_MAX_PHASES:]]
        warnings = [f"Warning: {warning}" for warning in self._warnings[-_MAX_WARNINGS:]]
        return "\n".join(map(clean, [*bars, *self._notes[-_MAX_NOTES:], *warnings]))

    def _show_sometimes(self) -> None:
        if time.monotonic() - self._shown_at >= _INTERVAL:
            self._show()

    def _show(self) -> None:
        content = {"text/html": self.html(), "text/plain": self.plain()}
        if self._handle is None:
            self._handle = _display(content)
        else:
            self._handle.update(content, raw=True)
        self._shown_at = time.monotonic()


def _display(content: dict[str, str]) -> Any:
    from IPython.display import display

    return display(content, raw=True, display_id=True)


def _row(phase: Phase) -> str:
    bar = f'<progress value="{phase.fraction:.4f}" max="1" style="width:12em"></progress>'
    ended = phase.seconds is not None
    left = phase.seconds_left()
    when = f"took {duration(phase.seconds or 0.0)}" if ended else "" if left is None else f"{duration(left)} left"
    cells = [f"<b>{_text(phase.name)}</b>", bar, f"{phase.fraction:.0%}", _text(phase.describe()), when]
    return f'<tr style="background:none">{"".join(f"<td {_CELL}>{cell}</td>" for cell in cells)}</tr>'


def _last(texts: list[str], count: int, kind: str) -> list[str]:
    dropped = len(texts) - count
    return [*([f"{dropped} earlier {kind} are not shown"] if dropped > 0 else []), *texts[-count:]]


def _text(text: str) -> str:
    return escape(clean(text))
