"""All printing: results on stdout, progress and notes on stderr, and what other libraries print in a log file.

TensorFlow and its converters write to file descriptors 1 and 2 by themselves, whatever Python is told; while a command
works, both lead into the log, and our own lines go where the two pointed before.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TextIO

import typer

from kdcompress.cli._printable import printable, printable_json
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import LOG
from kdcompress.runs.schemas import Kept

TRUST = "Let code run that came with the run or the model file, if you trust who made it."


class Terminal(Progress):
    """Shows progress on `err` and results on `out`; as a listener it is what api calls report to."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self.out, self.err = out, err
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

    def note(self, text: str) -> None:
        """A note, on stderr."""
        super().note(text)
        self._say(text)

    def warn(self, text: str) -> None:
        """A warning, on stderr."""
        super().warn(text)
        self._say(f"WARNING: {text}")

    def failure(self, text: str) -> None:
        """Why the command will exit with a failure although it did its work, on stderr."""
        self._say(f"kdcompress: {text}")

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        """Open a progress bar on a terminal; elsewhere say what begins."""
        if not self.err.isatty():
            self._say(f"{phase} ...")
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
        self.task = self.live.add_task(phase, total=total, completed=done, parts="")
        self.live.start()

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        """Move the bar; break off after an interrupt that Python dropped."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self.live is not None:
            shown = {name: parts[name] for name in parts if name != "accuracy"}
            text = " ".join(f"{name.removesuffix('_loss').split('_')[0]} {value:.3f}" for name, value in shown.items())
            self.live.update(self.task, completed=done, parts=text)

    def epoch(self, phase: str, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """A line for each epoch."""
        super().epoch(phase, epoch, epochs, row)
        losses = [name for name in row if name.endswith("_loss") and not name.startswith("val_")]
        parts = ", ".join(f"{name.removesuffix('_loss')} {row[name]:.4f}" for name in losses)
        auc = f", AUC {100 * row['val_auc']:.2f} %" if "val_auc" in row else ""
        self._say(
            f"{phase:<9} epoch {epoch:>{len(str(epochs))}}/{epochs}  loss {row['loss']:.4f} ({parts})  "
            f"val accuracy {100 * row['val_accuracy']:.2f} %{auc}  {row['seconds']:.1f} s"
        )

    def end(self) -> None:
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
        out, err = (stack.enter_context(_own(stream, fd)) for stream, fd in ((sys.stdout, 1), (sys.stderr, 2)))
        sink = stack.enter_context(_sink(log))
        stack.enter_context(_led_to(sink.fileno()))
        if log:
            stack.enter_context(_logging_to(log))
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


@contextlib.contextmanager
def _sink(log: Path | None) -> Iterator[IO[bytes]]:
    if log is None:
        with tempfile.TemporaryFile() as sink:
            yield sink
    else:
        with log.open("ab") as sink:
            yield sink


@contextlib.contextmanager
def _own(stream: TextIO, fd: int) -> Iterator[TextIO]:
    """A way to where `stream` writes now that survives the redirection of `fd`."""
    try:
        direct = stream.fileno() == fd
    except (OSError, ValueError):
        direct = False  # a test's buffer
    if not direct:
        yield stream
        return
    with os.fdopen(os.dup(fd), "w", encoding=stream.encoding, errors=stream.errors) as own:
        yield own


@contextlib.contextmanager
def _led_to(sink: int) -> Iterator[None]:
    saved = os.dup(1), os.dup(2)
    try:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        for fd, before in enumerate(saved, start=1):
            os.dup2(before, fd)
            os.close(before)


class _Printable(logging.Formatter):
    """A log is shown in terminals, too."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        return printable(super().formatMessage(record))


@contextlib.contextmanager
def _logging_to(log: Path) -> Iterator[None]:
    logger = logging.getLogger("kdcompress")
    handler = logging.FileHandler(log, encoding="utf-8")
    handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()
