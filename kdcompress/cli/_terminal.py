"""All printing: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import typer

from kdcompress.cli._printable import printable, printable_json
from kdcompress.cli._streams import logging_to, open_sink, own_stream, redirected
from kdcompress.errors import UsageError
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
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import LOG
from kdcompress.runs.schemas import Kept

OBSERVER = "An experiment tracker (`kdcompress list observers`), or package.module:Class; repeatable."
TRUST = "Let code run that came with the run or the model file, if you trust who made it."


class Terminal(Listener):
    """Shows progress on `err` and results on `out`.

    Args:
        out: Where results are printed.
        err: Where progress, notes and warnings are printed.

    Attributes:
        progress: What commands hand to the functions that they call.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = out, err
        self.progress = Progress(self)
        self.live: Any = None
        self.task: Any = None
        self.interrupted = False

    def result(self, text: str) -> None:
        """A line of the result, on stdout."""
        print(printable(text), file=self.out, flush=True)

    def json(self, value: Kept) -> None:
        """The one JSON document of a command, on stdout."""
        document = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        print(printable_json(document), file=self.out, flush=True)

    def observe(self, event: Event) -> None:
        """Show an event; the many trainings of a sweep are left to other listeners."""
        if not (isinstance(event, PhaseEvent) and event.trial):
            super().observe(event)

    def on_note(self, event: Note) -> None:
        """A note, on stderr."""
        self._say(event.text)

    def on_warning(self, event: WarningRaised) -> None:
        """A warning, on stderr."""
        self._say(f"WARNING: {event.text}")

    def failure(self, text: str) -> None:
        """Why the command will exit with a failure although it did its work, on stderr."""
        self._say(f"kdcompress: {text}")

    def on_phase_started(self, event: PhaseStarted) -> None:
        """Open a progress bar on a terminal; elsewhere print the phase's name."""
        if not self.err.isatty():
            self._say(f"{event.phase} ...")
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(),
            TextColumn("{task.fields[parts]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        self.live = Bar(*columns, console=Console(file=self.err), transient=True)
        self.task = self.live.add_task(event.phase, total=event.total, completed=event.done, parts="")
        self.live.start()

    def on_step(self, event: Step) -> None:
        """Move the bar; break off after an interrupt that Python dropped."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.live is not None:
            shown = {name: value for name, value in event.figures.items() if name != "accuracy"}
            text = " ".join(f"{name.removesuffix('_loss').split('_')[0]} {value:.3f}" for name, value in shown.items())
            self.live.update(self.task, completed=event.done, parts=text)

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """A line for each epoch."""
        row, epochs = event.metrics, event.epochs
        losses = [name for name in row if name.endswith("_loss") and not name.startswith("val_")]
        parts = ", ".join(f"{name.removesuffix('_loss')} {row[name]:.4f}" for name in losses)
        auc = f", AUC {100 * row['val_auc']:.2f} %" if "val_auc" in row else ""
        self._say(
            f"{event.phase:<9} epoch {event.epoch:>{len(str(epochs))}}/{epochs}  loss {row['loss']:.4f} ({parts})  "
            f"val accuracy {100 * row['val_accuracy']:.2f} %{auc}  {row['seconds']:.1f} s"
        )

    def on_phase_ended(self, event: PhaseEnded) -> None:
        """Take the bar away."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _say(self, text: str) -> None:
        shown = printable(text)
        if self.live is not None:
            self.live.console.print(shown, markup=False, highlight=False, soft_wrap=True)
        else:
            print(shown, file=self.err, flush=True)


def log_of(source: Path) -> Path | None:
    """The log of the run that a command is given; None if it is given something else, or may not write there."""
    run = RunFolder(source)
    if not source.is_dir() or not run.is_run():
        return None
    log = run / LOG
    if log.exists() and not log.is_file():
        return None
    return log if os.access(log if log.exists() else source, os.W_OK) else None


def parse_shape(text: str | None) -> tuple[int, int, int] | None:
    """H,W,C as three whole numbers above 0; UsageError if `text` is something else."""
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--input-shape takes H,W,C, three whole numbers above 0 such as 224,224,3, got {text!r}")
    height, width, channels = (int(part) for part in parts)
    return height, width, channels


@contextlib.contextmanager
def working(log: Path | None = None) -> Iterator[Terminal]:
    """A terminal for a command that works with heavy libraries; what those print is appended to `log` (or dropped)."""
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(own_stream(stream, fd)) for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)))
        sink = stack.enter_context(open_sink(log))
        stack.enter_context(redirected(sink.fileno()))
        if log:
            stack.enter_context(logging_to(log))
        terminal = Terminal(out, err)
        stack.enter_context(_remembering_interrupts(terminal))
        yield terminal


@contextlib.contextmanager
def _remembering_interrupts(terminal: Terminal) -> Iterator[None]:
    """Ctrl-C as ever, and noted: Python drops an exception that is raised while it clears an object away.

    A library in the middle of whose work it comes may make another error of it, which is told as what it is.
    SIGTERM, by which systems end what runs too long, is as Ctrl-C: what is finished is kept, and children end, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        terminal.interrupted = True
        raise KeyboardInterrupt

    usual: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    ours = [number for number, handler in usual.items() if signal.getsignal(number) == handler]
    for number in ours:
        signal.signal(number, interrupt)
    try:
        yield
    except Exception as exc:
        if terminal.interrupted and not isinstance(exc, typer.Exit):  # which a command chose that had heard of it
            raise KeyboardInterrupt from exc
        raise
    finally:
        for number in ours:
            signal.signal(number, usual[number])
