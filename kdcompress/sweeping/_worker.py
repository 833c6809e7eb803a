"""Worker of a sweep: `python -m kdcompress.sweeping._worker NUMBER`, with its job on standard input, or a task.

The process writes its events to standard output, one per line; everything else goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from kdcompress import processes
from kdcompress.events import Event
from kdcompress.progress import Progress
from kdcompress.sweeping._events import to_line


class _Lines(Progress):
    """Sends events, as lines, to the parent process."""

    def __init__(self) -> None:
        super().__init__(log=False)
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # TensorFlow writes to file descriptor 1 directly

    def emit(self, event: Event) -> None:
        """Send an event."""
        if line := to_line(event):
            print(line, file=self._out, flush=True)


class _Sent(Progress):
    """Sends events, as lines, to whoever began a task."""

    def __init__(self, send: Callable[[str], None]) -> None:
        super().__init__(log=False)
        self._send = send

    def emit(self, event: Event) -> None:
        """Send an event."""
        if line := to_line(event):
            self._send(line)


def run_task(job: dict[str, Any], number: int, send: Callable[[str], None]) -> None:
    """Run trials until none is left, as a task of a cluster.

    Args:
        job: The job of `run_worker`.
        number: Number of the worker, from 1.
        send: Sends a line of text.
    """
    from kdcompress.sweeping._sweep import run_worker

    run_worker(job, number, _Sent(send))


def main(arguments: list[str]) -> int:
    """Run trials until none is left.

    Args:
        arguments: The number of the process.

    Returns:
        Exit code.
    """
    from kdcompress.sweeping._sweep import run_worker

    job, _ = processes.receive_job()
    run_worker(job, int(arguments[0]), _Lines())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
