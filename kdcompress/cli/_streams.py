"""Redirection of output while a command works.

TensorFlow and its converters write to file descriptors 1 and 2 directly, bypassing sys.stdout and sys.stderr. While a
command works, both are redirected to the log, and our own output goes to duplicates of the original descriptors.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO

from kdcompress.cli._printable import printable


@contextlib.contextmanager
def open_sink(log: Path | None) -> Iterator[IO[bytes]]:
    """Open the log for appending, or a temporary file.

    Args:
        log: The log.
    """
    if log is None:
        with tempfile.TemporaryFile() as sink:
            yield sink
    else:
        with log.open("ab") as sink:
            yield sink


@contextlib.contextmanager
def own_stream(stream: TextIO, fd: int) -> Iterator[TextIO]:
    """Open a stream to the current target of another one that survives the redirection of its descriptor.

    Args:
        stream: The stream.
        fd: Its file descriptor.
    """
    try:
        direct = stream.fileno() == fd
    except (OSError, ValueError):
        direct = False  # a buffer in a test
    if not direct:
        yield stream
        return
    with os.fdopen(os.dup(fd), "w", encoding=stream.encoding, errors=stream.errors) as own:
        yield own


@contextlib.contextmanager
def redirected(sink: int) -> Iterator[None]:
    """Redirect file descriptors 1 and 2.

    Args:
        sink: File descriptor that they are redirected to.
    """
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
    """Escapes what a terminal would interpret, since logs are shown in terminals, too."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format a record, with escapes."""
        return printable(super().formatMessage(record))


@contextlib.contextmanager
def logging_to(log: Path) -> Iterator[None]:
    """Append the log messages of kdcompress to a file.

    Args:
        log: The file.
    """
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
