"""One of the processes that work on a sweep: python -m kdcompress.sweeping._worker NUMBER, its job on standard input.

Says a line on stdout for each trial; everything else goes to stderr.
"""

from __future__ import annotations

import os
import sys

from kdcompress import processes
from kdcompress.progress import Progress


class _Lines(Progress):
    """What a trial says, as lines for the process that started this one."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # TensorFlow writes to 1 by itself

    def note(self, text: str) -> None:
        """A line."""
        print(text, file=self._out, flush=True)

    def warn(self, text: str) -> None:
        """A line, marked."""
        self.note(f"WARNING: {text}")


def main(arguments: list[str]) -> int:
    """Work until no trial is left."""
    from kdcompress.sweeping._sweep import work_along

    job, _ = processes.receive_job()
    work_along(job, int(arguments[0]), _Lines())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
