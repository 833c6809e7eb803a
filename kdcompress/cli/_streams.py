"""Own output and log of a command, while file descriptors 1 and 2 are redirected to the log."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kdcompress.cli._printable import printable


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
