"""Runs commands of kdcompress in children of a process that has everything imported, and watches time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SECONDS = 60.0
MEGABYTES = 1500.0  # what a command may take beside what is imported; tiny models take 100 to 400
_LOOK = 0.05


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code (negative: the signal), what it printed, its time, and its memory in MB.

    `broken` says why it was ended by us: "time", "memory", or nothing.
    """

    exit: int
    out: str
    err: str
    seconds: float
    megabytes: float
    broken: str = ""
    orphans: tuple[str, ...] = ()

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return (self.err.strip().splitlines() or [""])[-1]


class WorkerError(RuntimeError):
    """The harness itself failed, not what it tests."""


class Worker:
    """A process that forks commands; `folder` takes what they print. Close it, or use it in a `with`.

    `places` are folders with more packages, which are found before others.
    """

    def __init__(self, folder: Path, places: Sequence[Path] = ()) -> None:
        self.folder, self._places = folder, places
        folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[str] | None = None
        self._own = 0.0
        self._pending = b""

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run(
        self,
        args: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        *,
        seconds: float = SECONDS,
        megabytes: float = MEGABYTES,
        moment: dict[str, Any] | None = None,
        meanwhile: Callable[[int], None] | None = None,
        fresh: bool = False,
    ) -> Outcome:
        """Run `kdcompress ARGS`, `fresh` in an interpreter of its own.

        `moment` is where it kills itself, `meanwhile` gets its process number again and again.
        """
        request: dict[str, Any] = {"args": list(args), "cwd": str(cwd), "env": dict(env), "fresh": fresh}
        if moment is not None:
            request["moment"] = moment
        return self._ask(request, seconds, megabytes, meanwhile)

    def call(self, function: str, *args: Any, cwd: Path, env: Mapping[str, str] | None = None) -> Outcome:
        """Call a function of the harness, `module:function`, in a child; WorkerError if it raises."""
        done = self._ask({"call": function, "args": list(args), "cwd": str(cwd), "env": dict(env or {})}, SECONDS, 8e3)
        if done.exit == 97:
            raise WorkerError(f"{function}{args}: {done.err[-2000:]}")
        return done

    def _ask(
        self,
        request: dict[str, Any],
        seconds: float,
        megabytes: float,
        meanwhile: Callable[[int], None] | None = None,
    ) -> Outcome:
        process = self._started()
        paths = {"out": self.folder / "stdout", "err": self.folder / "stderr"}
        for path in paths.values():
            path.write_bytes(b"")  # nothing of the command before is taken for this one's
        assert process.stdin is not None
        process.stdin.write(json.dumps({**request, **{name: str(path) for name, path in paths.items()}}) + "\n")
        process.stdin.flush()
        begin = time.monotonic()
        child, peak, broken, family = self._read()["pid"], 0.0, "", dict[int, psutil.Process]()
        while not self._readable():
            peak = max(peak, self._memory(child, family))
            broken = broken or ("time" if time.monotonic() - begin > seconds else "")
            broken = broken or ("memory" if peak > megabytes else "")
            if broken:
                _kill_group(child)
            elif meanwhile is not None:
                meanwhile(child)
        code, took = self._read()["exit"], time.monotonic() - begin
        orphans = _orphans(child, family, 0.0 if broken else 5.0)
        texts = (path.read_text(encoding="utf-8", errors="surrogateescape") for path in paths.values())
        return Outcome(code, *texts, took, peak, broken, orphans)

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
            paths = [*map(str, self._places), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(paths)}
            log = (self.folder / "worker.log").open("ab")
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
            log.close()
            self._pending = b""
            self._own = self._read()["kilobytes"] / 1e3
        return self._process

    def _read(self) -> dict[str, Any]:
        """The next line of the process, which need not have come yet."""
        assert self._process is not None and self._process.stdout is not None
        while b"\n" not in self._pending:
            got = os.read(self._process.stdout.fileno(), 1 << 16)
            if not got:
                log = (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")
                raise WorkerError(f"the worker ended: {log[-2000:]}")
            self._pending += got
        line, _, self._pending = self._pending.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _readable(self) -> bool:
        """Whether a line has come, after a moment; a child may end before we look, and both its lines come at once."""
        assert self._process is not None and self._process.stdout is not None
        return b"\n" in self._pending or bool(select.select([self._process.stdout], [], [], _LOOK)[0])

    def _memory(self, child: int, family: dict[int, psutil.Process]) -> float:
        """Anonymous memory in MB of a child beside what it shares with the worker, and of its own children."""
        total = 0.0
        for pid in [child, *_descendants(child)]:
            with contextlib.suppress(psutil.Error):
                family.setdefault(pid, psutil.Process(pid))
        for pid in list(family):
            with contextlib.suppress(OSError, StopIteration, ValueError):
                text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                rss = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon")) / 1e3
                total += max(0.0, rss - self._own) if pid == child else rss
        return total


def _descendants(pid: int) -> Iterator[int]:
    """The processes below one; as /proc tells it, for to look through all processes 20 times a second is dear."""
    with contextlib.suppress(OSError):  # it may end at any moment
        for path in list(Path(f"/proc/{pid}/task").glob("*/children")):
            for child in map(int, path.read_text(encoding="utf-8").split()):
                yield child
                yield from _descendants(child)


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def _orphans(child: int, family: dict[int, psutil.Process], patience: float) -> tuple[str, ...]:
    """Processes that the child started and that outlive it by more than `patience` seconds; they are ended."""
    others = [one for pid, one in family.items() if pid != child]
    _, alive = psutil.wait_procs(others, timeout=patience) if others else ((), ())
    found = []
    for one in alive:
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(one.cmdline())[:120])
            one.kill()
    return tuple(found)
