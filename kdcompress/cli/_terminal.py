"""Output of commands: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from kdcompress.cli._documents import format_document
from kdcompress.cli._printable import printable
from kdcompress.cli._streams import logging_to, own_stream
from kdcompress.errors import KDCompressError, UsageError
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
from kdcompress.formatting import epoch_metrics, losses
from kdcompress.progress import Progress
from kdcompress.runs.names import LOG
from kdcompress.streams import open_sink, redirected

if TYPE_CHECKING:
    from kdcompress.runs.schemas import Kept

OBSERVER = "An experiment tracker (`kdcompress list observers`), or package.module:Class; repeatable."
CLUSTER = "auto starts Ray on this machine, HOST:PORT joins a running cluster; its workers share the work."
WORKERS = "The cluster's workers. [default: one for every four cores, or for each GPU]"
TRUST = "Let code run that came with the run or the model file, if you trust who made it."


class Terminal(Listener):
    """Prints results to `out`, and progress, notes and warnings to `err`.

    Args:
        out: Stream of results.
        err: Stream of progress, notes and warnings.

    Attributes:
        progress: The listener that commands pass to the functions that they call.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = out, err
        self.progress = Progress(self)
        self.live: Any = None
        self.task: Any = None
        self.interrupted = False

    def result(self, text: str) -> None:
        """Print a line of the result.

        Args:
            text: The line.
        """
        print(printable(text), file=self.out, flush=True)

    def json(self, value: Kept) -> None:
        """Print the result as a JSON document.

        Args:
            value: The result.
        """
        print(format_document(value, self.out.encoding or "utf-8"), file=self.out, flush=True)

    def observe(self, event: Event) -> None:
        """Show an event; those of the trials of a sweep are left to other listeners."""
        if not (isinstance(event, PhaseEvent) and event.trial):
            super().observe(event)

    def on_note(self, event: Note) -> None:
        """Print the note."""
        self._print(event.text)

    def on_warning(self, event: WarningRaised) -> None:
        """Print the warning."""
        self._print(f"WARNING: {event.text}")

    def failure(self, text: str) -> None:
        """Print why the command will exit with a failure code although it completed.

        Args:
            text: The reason.
        """
        self._print(f"kdcompress: {text}")

    def on_phase_started(self, event: PhaseStarted) -> None:
        """Open a progress bar on a terminal, otherwise print the name of the phase."""
        if not self.err.isatty():
            self._print(f"{event.phase} ...")
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
        """Update the progress bar; raise an interrupt that Python dropped."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.live is not None:
            self.live.update(self.task, completed=event.done, parts=losses(event.figures))

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Print a line for the epoch."""
        epoch = f"{event.epoch:>{len(str(event.epochs))}}/{event.epochs}"
        self._print(f"{event.phase:<9} epoch {epoch}  {epoch_metrics(event.metrics)}")

    def on_phase_ended(self, event: PhaseEnded) -> None:
        """Remove the progress bar."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _print(self, text: str) -> None:
        line = printable(text)
        if self.live is not None:
            self.live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.err, flush=True)


def log_of(source: Path) -> Path | None:
    """Find the log of a run.

    Args:
        source: Argument of a command.

    Returns:
        Path of the log; None if the source is not a run, or the log is not writable.
    """
    from kdcompress.runs.folder import RunFolder
    from kdcompress.runs.students import judged_student

    with contextlib.suppress(KDCompressError):  # which the command itself reports
        source = judged_student(source)
    run = RunFolder(source)
    if not source.is_dir() or not run.is_run():
        return None
    log = run / LOG
    if log.exists() and not log.is_file():
        return None
    return log if os.access(log if log.exists() else source, os.W_OK) else None


def parse_shape(text: str | None) -> tuple[int, int, int] | None:
    """Parse an image shape.

    Args:
        text: H,W,C, three whole numbers above 0.

    Returns:
        (H, W, C); None for None.

    Raises:
        UsageError: The text has another form.
    """
    if text is None:
        return None
    parts = text.replace("x", ",").split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--input-shape takes H,W,C, three whole numbers above 0 such as 224,224,3, got {text!r}")
    height, width, channels = (int(part) for part in parts)
    return height, width, channels


@contextlib.contextmanager
def working(log: Path | None = None) -> Iterator[Terminal]:
    """Open the terminal of a command, and redirect what libraries print.

    Args:
        log: File that the output of libraries is appended to; by default it is discarded.

    Yields:
        The terminal.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        out, err = (stack.enter_context(own_stream(stream, fd)) for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)))
        sink = stack.enter_context(open_sink(log))
        stack.enter_context(redirected(sink.fileno()))
        if log:
            stack.enter_context(logging_to(log))
        terminal = Terminal(out, err)
        stack.enter_context(_interruptible(terminal))
        yield terminal


@contextlib.contextmanager
def _interruptible(terminal: Terminal) -> Iterator[None]:
    """Handle SIGINT and SIGTERM as KeyboardInterrupt, and record them.

    Python drops an exception that is raised while it deallocates an object, and a library that is interrupted may raise
    another error, which is then reported as the interrupt. SIGTERM is handled like Ctrl-C, so that finished work is
    kept and child processes end, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        terminal.interrupted = True
        raise KeyboardInterrupt

    defaults: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    handled = [number for number, handler in defaults.items() if signal.getsignal(number) == handler]
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield
    except Exception as exc:
        if terminal.interrupted and not isinstance(exc, typer.Exit):  # an exit code that the command chose itself
            raise KeyboardInterrupt from exc
        raise
    finally:
        for number in handled:
            signal.signal(number, defaults[number])
