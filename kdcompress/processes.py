"""Processes of our own: they find kdcompress where this process found it, look for nothing in the current folder, and
end with the process that started them."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Isolated, Python takes neither the current folder nor the user's variables for places of modules: the places are this
# process's own, given by name
_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_SIZE = 8  # bytes before a message that say how long it is


def start_module(module: str, *arguments: str, environment: Mapping[str, str] | None = None, **pipes: Any) -> Any:
    """Start `python -m module` as a child with a pipe to its standard input, which `receive` reads.

    The child ends when that pipe does. `pipes` are those of subprocess.Popen.
    """
    command = [sys.executable, "-I", "-c", _START, json.dumps(_places()), module, *arguments]
    return subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, **pipes)


def _places() -> list[str]:
    """Where modules are looked for, without the current folder, and with that of kdcompress."""
    here = os.path.realpath(Path.cwd())
    root = str(Path(__file__).resolve().parents[1])
    found = [str(Path(place).absolute()) for place in sys.path if place]
    asked = {os.path.realpath(place) for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place}
    places = [place for place in found if os.path.realpath(place) != here or here in asked]
    return [*dict.fromkeys([*places, root])]


def send_job(process: Any, job: Mapping[str, Any], content: bytes = b"") -> None:
    """Give a child its job, and bytes beside it."""
    for message in (json.dumps(job).encode(), content):
        process.stdin.write(len(message).to_bytes(_SIZE, "big") + message)
    process.stdin.flush()


def read_lines(children: Sequence[Any]) -> Iterator[str]:
    """What children write on their standard outputs, line by line as it comes, until all have ended."""
    found: queue.Queue[str | None] = queue.Queue()

    def read(child: Any) -> None:
        for line in child.stdout:
            found.put(line.decode("utf-8", "replace").rstrip())
        found.put(None)

    for child in children:
        threading.Thread(target=read, args=(child,), daemon=True).start()
    ended = 0
    while ended < len(children):
        if (line := found.get()) is None:
            ended += 1
        else:
            yield line


def receive_job() -> tuple[dict[str, Any], bytes]:
    """In a child: the job and the bytes beside it. From now on the child ends as soon as its parent does."""
    job, content = _message(), _message()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    found: dict[str, Any] = json.loads(job)
    return found, content


def _message() -> bytes:
    return _exactly(int.from_bytes(_exactly(_SIZE), "big"))


def _exactly(size: int) -> bytes:
    """So many bytes of standard input, read without a buffer, whose lock would stay held at the end."""
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
