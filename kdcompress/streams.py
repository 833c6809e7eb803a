"""Redirection of the output of libraries.

TensorFlow and its converters write to file descriptors 1 and 2 directly, bypassing sys.stdout and sys.stderr.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


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
