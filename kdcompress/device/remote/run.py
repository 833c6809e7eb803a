"""A run of a bundle apart from the connection that started it, in an environment that is made for it if need be."""

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

from kdcompress.device.remote.place import Place, describe, write

_PIP = (
    "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-input", "--disable-pip-version-check",
    "--only-binary=:all:",  # a small device would build NumPy for an hour
)  # fmt: skip


class _Failed(Exception):
    """A step failed; its arguments are the step and the exit code."""


def start(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    """Start a run in a session of its own, which the end of the connection does not end.

    Args:
        place: Its place.
        request: `arguments` of the bundle, `timeout_s`, `setup`, and the `packages` of an environment.

    Returns:
        `state`, which is not `running` if another run was faster.
    """
    place.make()
    lock = place.lock()
    if lock is None:
        return {"state": place.state()}
    os.truncate(lock, 0)
    os.write(lock, place.key.encode())
    shutil.rmtree(str(place.run), ignore_errors=True)  # of a run that was ended from outside
    (place.run / "tmp").mkdir(parents=True)
    place.log.touch()
    if os.fork() == 0:
        try:
            _detach(place, lock)
            write(place.end, _run(place, request))
        finally:
            os._exit(0)
    os.close(lock)  # the run has it
    return {"state": "running"}


def _detach(place: Place, lock: int) -> None:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null, log = os.open(os.devnull, os.O_RDONLY), os.open(str(place.log), os.O_WRONLY | os.O_APPEND)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.closerange(3, lock)  # a connection stays open as long as anybody has its pipes
    os.closerange(lock + 1, 256)


def _run(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    """Run the bundle, and return the step that was the last one and its exit code."""
    deadline = time.monotonic() + request["timeout_s"]  # whatever happens to the clock
    try:
        if request["setup"]:
            _make_environment(place, request["packages"], deadline)
        python = str(place.python) if place.installed() else sys.executable
        arguments = [*request["arguments"], "--out", str(place.result)]
        return {"step": "run", "code": _call(place, [python, str(place.bundle), *arguments], deadline)}
    except _Failed as exc:
        if not place.installed():
            shutil.rmtree(str(place.environment), ignore_errors=True)  # half of one helps nobody
        return {"step": exc.args[0], "code": exc.args[1]}
    except OSError as exc:
        _tell(f"error: {describe(exc, place)}")
        return {"step": "run", "code": 1}


def _make_environment(place: Place, packages: "list[str]", deadline: float) -> None:
    installed, code = place.installed(), 0
    if not installed:
        _tell(f"making an environment in {place.environment} ...")
        code = _call(place, [sys.executable, "-m", "venv", "--clear", str(place.environment)], deadline)
        if code:
            raise _Failed("venv", code)
    for package in [name for name in packages if name not in installed]:
        _tell(f"installing numpy and {package} ...")
        code = _call(place, [str(place.python), *_PIP, "numpy", package], deadline)
        if code == 0:
            installed.append(package)
            write(place.marker, {"python": sys.version, "packages": installed})
    if not installed:
        raise _Failed("pip", code)


def _call(place: Place, command: "list[str]", deadline: float) -> int:
    """Run a command, with the log for its output; its temporary files and caches go with the run."""
    temporary = str(place.run / "tmp")
    environment = dict(os.environ, TMPDIR=temporary, XDG_CACHE_HOME=temporary)  # where onnxruntime keeps a database
    child = subprocess.Popen(command, env=environment, cwd=str(place.run), start_new_session=True)
    try:
        return child.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise _Failed("timeout", child.wait()) from None


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
