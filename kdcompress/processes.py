"""Child processes that import kdcompress from where this process did, never import from the current folder, and end
with their parent."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# In isolated mode Python ignores the current folder and PYTHONPATH; the child receives this process's sys.path instead
_BOOTSTRAP = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_SIZE = 8  # bytes of the length before each message


def start_module(module: str, *arguments: str, environment: Mapping[str, str] | None = None, **pipes: Any) -> Any:
    """Start `python -m module` as a child process that ends when the pipe to its standard input closes.

    Args:
        module: Name of the module, which calls `receive_job`.
        *arguments: Command-line arguments.
        environment: Variables to add to those of this process.
        **pipes: `stdout` and `stderr` of subprocess.Popen.

    Returns:
        The subprocess.Popen object.
    """
    command = [sys.executable, "-I", "-c", _BOOTSTRAP, json.dumps(_module_path()), module, *arguments]
    return subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, **pipes)


def start_program(command: Sequence[str]) -> Any:
    """Start a program of the system, with pipes to its standard input, output and errors.

    Args:
        command: The program and its arguments; no shell reads them.

    Returns:
        The subprocess.Popen object.

    Raises:
        FileNotFoundError: There is no such program.
    """
    pipe = subprocess.PIPE
    return subprocess.Popen(list(command), stdin=pipe, stdout=pipe, stderr=pipe)


def _module_path() -> list[str]:
    """Return sys.path without the current folder (unless PYTHONPATH names it) and with the folder of kdcompress."""
    here = os.path.realpath(Path.cwd())
    root = str(Path(__file__).resolve().parents[1])
    absolute = [str(Path(folder).absolute()) for folder in sys.path if folder]
    named = {os.path.realpath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder}
    folders = [folder for folder in absolute if os.path.realpath(folder) != here or here in named]
    return [*dict.fromkeys([*folders, root])]


def send_job(process: Any, job: Mapping[str, Any], content: bytes = b"") -> None:
    """Send a job to a child process.

    Args:
        process: What `start_module` returned.
        job: The job, as JSON values.
        content: Bytes that belong to it.
    """
    for message in (json.dumps(job).encode(), content):
        process.stdin.write(len(message).to_bytes(_SIZE, "big") + message)
    process.stdin.flush()


def run_job(module: str, job: Mapping[str, Any], content: bytes = b"", *, timeout_s: float) -> tuple[int, bytes, str]:
    """Run a job in a child process, to its end.

    Args:
        module: Name of the module, which calls `receive_job`.
        job: The job, as JSON values.
        content: Bytes that belong to it.
        timeout_s: Seconds after which the child is killed.

    Returns:
        The exit code, negative for a signal; the standard output; and the last line of the standard error.

    Raises:
        subprocess.TimeoutExpired: It did not end in time.
    """
    child = start_module(module, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended already; its output says why
            send_job(child, job, content)
        stdin, child.stdin = child.stdin, None  # stays open, since the child ends when it is closed
        result, messages = child.communicate(timeout=timeout_s)
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
    finally:
        child.kill()
        child.wait()
    last = (messages.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    return child.returncode, result, last


def read_lines(children: Sequence[Any]) -> Iterator[str]:
    """Read the standard outputs of several child processes as lines arrive, until all have ended.

    Args:
        children: What `start_module` returned, with `stdout` as a pipe.

    Yields:
        Lines, without their line ends.
    """
    lines: queue.Queue[str | None] = queue.Queue()

    def read(child: Any) -> None:
        for line in child.stdout:
            lines.put(line.decode("utf-8", "replace").rstrip())
        lines.put(None)

    for child in children:
        threading.Thread(target=read, args=(child,), daemon=True).start()
    ended = 0
    while ended < len(children):
        if (line := lines.get()) is None:
            ended += 1
        else:
            yield line


def receive_job() -> tuple[dict[str, Any], bytes]:
    """Receive the job in a child process, which from then on ends as soon as its parent does.

    Returns:
        The job and the bytes that belong to it.
    """
    document, content = _read_message(), _read_message()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job: dict[str, Any] = json.loads(document)
    return job, content


def _read_message() -> bytes:
    return _read_exactly(int.from_bytes(_read_exactly(_SIZE), "big"))


def _read_exactly(size: int) -> bytes:
    """Read `size` bytes of standard input unbuffered: the lock of a buffer would still be held when the child ends."""
    pieces = []
    while size:
        piece = os.read(0, min(size, 1 << 20))
        if not piece:
            raise EOFError("the process that started this one has ended")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
