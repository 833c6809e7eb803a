"""One of the processes that work on a sweep: python -m kdcompress.sweeping._worker NUMBER, its job on standard input.

Events go to stdout, a line each; everything else goes to stderr.
"""

from __future__ import annotations

import os
import sys

from kdcompress import processes
from kdcompress.events import Event
from kdcompress.progress import Progress
from kdcompress.sweeping._events import to_line


class _Lines(Progress):
    """Sends events, as lines, to the process that started this one."""

    def __init__(self) -> None:
        super().__init__(log=False)
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # TensorFlow writes to 1 by itself

    def emit(self, event: Event) -> None:
        """Send an event."""
        if line := to_line(event):
            print(line, file=self._out, flush=True)


def main(arguments: list[str]) -> int:
    """Work until no trial is left."""
    from kdcompress.sweeping._sweep import work_along

    job, _ = processes.receive_job()
    work_along(job, int(arguments[0]), _Lines())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
