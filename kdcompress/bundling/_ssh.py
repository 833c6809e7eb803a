"""A connection to a device: one process of the system's own ssh, and requests to `kdcompress.device.remote` behind it.

All goes through the one connection, so that a password is asked for once, by ssh itself, and keys, agents, jump hosts
and aliases of ~/.ssh/config work as they do for `ssh HOST`. The remote command has no word from outside.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from kdcompress import processes
from kdcompress.bundling._address import Address
from kdcompress.bundling._remedies import explain
from kdcompress.errors import DeviceError
from kdcompress.files import parse_json

T = TypeVar("T")

SSH = "KDCOMPRESS_SSH"
_OPTIONS = (
    "-T", "-x", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4",
    "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none",
)  # fmt: skip
# Quoted alike by all shells; the current folder is not imported from
_COMMAND = 'python3 -c "import sys; sys.path = [p for p in sys.path if p]; exec(sys.stdin.buffer.read({length}))"'
_FAR_END = Path(__file__).parents[1] / "device" / "remote"
_MODULES = ("place", "run", "end")  # each imports only those before it
_LOADER = """
import sys, types
for name, source in {sources!r}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""
_MARK = b"kdcompress {"
_MAX_LINE, _MAX_WAITING, _MAX_NOISE, _MAX_ERRORS = 32 << 20, 4, 1000, 40
_LOGIN_S, _ANSWER_S, _END_S = 600.0, 300.0, 5.0
_BLOCK = 1 << 18


class Connection:
    """A connection to a device; a context manager that closes it.

    Args:
        address: Address of the device.

    Raises:
        DeviceError: ssh is not there, does not reach the device, or is not let in; or there is no Python.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        program = _far_end()
        command = _COMMAND.format(length=len(program))
        words = shlex.split(os.environ.get(SSH, "")) or ["ssh"]
        try:
            self._child = processes.start_program([*words, *_OPTIONS, *address.arguments, command])
        except OSError as exc:
            raise DeviceError(
                f"{words[0]} cannot be started ({exc.strerror}); install OpenSSH's client (Debian: `sudo apt install "
                f"openssh-client`), or name another command in {SSH}"
            ) from exc
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING)
        self._errors: collections.deque[str] = collections.deque(maxlen=_MAX_ERRORS)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read_lines, self._read_errors)]
        for thread in self._threads:
            thread.start()
        self.greeting: dict[str, Any] = {}
        try:
            self._send(program)
            self.greeting = self._receive(_LOGIN_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, and wait for its answer.

        Args:
            request: JSON values; `do` is what the device is to do.

        Returns:
            The answer.

        Raises:
            DeviceError: The device cannot do it, or the connection breaks.
        """
        self._send(json.dumps(request).encode() + b"\n")
        return self._receive(_ANSWER_S)

    def send_file(self, request: Mapping[str, Any], path: Path, on_block: Callable[[int], None]) -> None:
        """Send a request and a file.

        Args:
            request: JSON values.
            path: The file.
            on_block: Called with the number of bytes sent so far.

        Raises:
            DeviceError: The device cannot store it, or the connection breaks.
        """
        self._send(json.dumps(request).encode() + b"\n")
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                self._send(block)
                on_block(stream.tell())
        self._receive(_ANSWER_S)

    def follow(self, request: Mapping[str, Any], timeout_s: float) -> Iterator[str | dict[str, Any]]:
        """Send a request that is answered in many lines.

        Args:
            request: JSON values.
            timeout_s: Longest time without a line.

        Yields:
            Lines of text as they come, and at last the answer.

        Raises:
            DeviceError: The connection breaks.
        """
        self._send(json.dumps(request).encode() + b"\n")
        while "line" in (answer := self._receive(timeout_s)):
            yield str(answer["line"])
        yield answer

    def close(self) -> None:
        """Close the connection; what runs apart from it goes on."""
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _send(self, content: bytes) -> None:
        try:
            self._child.stdin.write(content)
            self._child.stdin.flush()
        except OSError:
            self._receive(_ANSWER_S)  # which says why
            raise DeviceError(f"{self.address} stopped listening; give the same command again") from None

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        for _ in range(_MAX_NOISE):
            try:
                line = self._lines.get(timeout=timeout_s)
            except queue.Empty:
                raise DeviceError(
                    f"{self.address} gave no answer within {timeout_s:g} s; see whether it hangs, then give the same "
                    "command again"
                ) from None
            if line is None:
                raise self._broken()
            if (start := line.find(_MARK)) >= 0:
                return self._checked(line[start + len(_MARK) - 1 :])
        raise DeviceError(f"{self.address} prints other text than answers; see what `ssh {self.address} true` prints")

    def _checked(self, line: bytes) -> dict[str, Any]:
        remedy = "give the same command again"
        answer = parse_json(line.decode("utf-8", "replace"), f"the answer of {self.address}", DeviceError, remedy)
        if "error" in answer:
            raise DeviceError(f"{self.address}: {str(answer['error'])[:500]}")
        return answer

    def _broken(self) -> DeviceError:
        """Describe why ssh ended, with its own last line."""
        self._threads[1].join(_END_S)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_END_S)
        return DeviceError(explain(self.address, self._child.poll(), list(self._errors), bool(self.greeting)))

    def _read_lines(self) -> None:
        for line in iter(lambda: self._child.stdout.readline(_MAX_LINE), b""):
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        for line in iter(lambda: self._child.stderr.readline(_MAX_LINE), b""):
            self._errors.append(line.decode("utf-8", "replace").strip()[:500])


def _far_end() -> bytes:
    """The program that answers on the device."""
    sources = [
        (f"kdcompress.device.remote.{name}", (_FAR_END / f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES
    ]
    return _LOADER.format(sources=sources).encode()


def field(answer: dict[str, Any], name: str, kind: type[T]) -> T:
    """Take a value from an answer, which is untrusted.

    Args:
        answer: The answer.
        name: Key of the value.
        kind: Type that it must have.

    Returns:
        The value.

    Raises:
        DeviceError: It is missing, or of another type.
    """
    value = answer.get(name)
    if not isinstance(value, kind):
        raise DeviceError(f"the device answers without {name}, as {kind.__name__}; give the same command again")
    return value
