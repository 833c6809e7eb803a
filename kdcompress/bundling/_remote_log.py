"""The log of a run on a device: what is shown of it, and why the run failed."""

from __future__ import annotations

import collections
import re
from typing import Any

from kdcompress.bundling._address import Address
from kdcompress.errors import DeviceError, KDCompressError, UsageError
from kdcompress.progress import Progress

_STEP = re.compile(r"(?P<phase>[A-Za-z ]{1,40}) (?P<done>[0-9]{1,6})/(?P<total>[0-9]{1,6})")
_ERROR = re.compile(r"error: (?P<text>.*)", re.IGNORECASE)
_GOES_ON = " ..."  # ends the notes of steps that take time
_MAX_LINES, _MAX_LENGTH = 200, 500
_MEASURED = (0, 3)  # exit codes of a bundle: measured, and measured with a failed parity check or gate
_WRONG_USAGE, _INTERRUPTED = 2, 130


class RemoteLog:
    """The log of a run on a device; a context manager that ends the phase that is shown.

    Args:
        progress: Receives notes and steps; None shows nothing.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._phase = ""
        self._lines: collections.deque[str] = collections.deque(maxlen=_MAX_LINES)

    def __enter__(self) -> RemoteLog:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._progress and self._phase:
            self._progress.end()

    @property
    def text(self) -> str:
        """The last lines."""
        return "\n".join(self._lines)

    @property
    def reason(self) -> str:
        """The last error in it, or else the last line."""
        errors = [match["text"] for line in self._lines if (match := _ERROR.fullmatch(line))]
        return (errors or [line for line in self._lines if line] or ["no message"])[-1]

    def show(self, line: str) -> None:
        """Take a line, and show it if it tells how far the run is.

        Args:
            line: The line; untrusted.
        """
        line = line[:_MAX_LENGTH].strip()
        self._lines.append(line)
        if self._progress is None:
            return
        if step := _STEP.fullmatch(line):
            if step["phase"] != self._phase:
                self._phase = step["phase"]
                self._progress.begin(self._phase, total=int(step["total"]))
            self._progress.step(int(step["done"]), {})
        elif line.endswith(_GOES_ON):
            self._progress.note(line)


def failure(address: Address, end: dict[str, Any] | None, log: RemoteLog) -> KDCompressError | None:
    """Find out why a run has no result.

    Args:
        address: Address of the device.
        end: Last step of the run and its exit code; None if it was ended from outside.
        log: Its log.

    Returns:
        The error; None if there is a result.
    """
    if not isinstance(end, dict):
        return DeviceError(
            f"the benchmark on {address} was ended from outside, after {log.reason!r}; see whether the device was "
            "restarted or ran out of memory, then give the same command again"
        )
    step, code = end.get("step"), end.get("code")
    if step == "timeout":
        return DeviceError(
            f"the benchmark on {address} did not end in time and was stopped, after {log.reason!r}; ask for less with "
            "--runtime, --threads, --batch-size or --duration"
        )
    if step == "venv":
        missing = "ensurepip" in log.text or "No module named venv" in log.text
        remedy = "; on Debian and Raspberry Pi OS `sudo apt install python3-venv` brings it" if missing else ""
        return DeviceError(f"python3 on {address} cannot make a virtual environment: {log.reason}{remedy}")
    if step == "pip":
        return DeviceError(f"pip on {address} cannot install what the bundle needs: {log.reason}")
    if code == _INTERRUPTED:
        return DeviceError(f"the benchmark on {address} was interrupted there; give the same command again")
    if code == _WRONG_USAGE:
        return UsageError(f"{address}: {log.reason}")
    return None if code in _MEASURED else DeviceError(f"{address}: {log.reason}")
