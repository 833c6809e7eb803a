"""What a device says while it works: notes and how far it is, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping

_STEPS = 10  # that are told of a phase where no terminal shows the line


class Console:
    """Writes notes and progress to standard error; satisfies `kdcompress.benchmarking.Reporter`."""

    def __init__(self) -> None:
        self._phase, self._total = "", 1
        self._overwrites = sys.stderr.isatty()

    def note(self, text: str) -> None:
        """Write a note."""
        self._write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Write a warning."""
        self._write(f"warning: {text}\n")

    def begin(self, phase: str, total: int) -> None:
        """Begin to show how far a phase is."""
        self._phase, self._total = phase, max(total, 1)

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        """Show how far the phase is."""
        if self._overwrites:
            self._write(f"\r{self._phase} {done}/{self._total}")
        elif done * _STEPS // self._total != (done - 1) * _STEPS // self._total:
            self._write(f"{self._phase} {done}/{self._total}\n")

    def end(self) -> None:
        """End the line of the phase."""
        if self._overwrites:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
