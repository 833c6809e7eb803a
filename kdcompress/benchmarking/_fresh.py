"""Fresh processes: whether a runtime starts, the time to load a model, its first inference, and its peak memory."""

from __future__ import annotations

import functools
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from kdcompress import processes
from kdcompress.benchmarking._base import Images, Runtime
from kdcompress.errors import ModelError
from kdcompress.missing import GUIDE

_CALLS = 5  # after the first, until the runtime has allocated its memory
_MB = 1e6
TIMEOUT_S = 600.0  # a file may contain an endless loop
_STARTED = b"started"  # the child's first line, once the runtime is imported
_CAUSES = {
    "SIGILL": "its wheel most likely needs CPU instructions that this CPU lacks",
    "SIGKILL": "the memory was most likely not enough",
}
_OTHER_CAUSE = "its wheel may not be made for this CPU or system"
_CAUSE_OF_FILE = "the file may be damaged, or its wheel not made for this CPU or system"


@functools.cache
def check_starts(runtime: str) -> None:
    """Check that a runtime can be imported, in a process of its own, since an import may end its process.

    Args:
        runtime: Name of the runtime.

    Raises:
        ModelError: It cannot; the message has the error or the signal, and its likely cause.
    """
    from kdcompress.benchmarking import make_runtime

    if make_runtime(runtime).module in sys.modules:
        return
    code, lines, messages = _run_child({"runtime": runtime}, b"", f"the import of {runtime}")
    if code != 0:
        raise ModelError(_failure("", runtime, code, lines, messages))


def measure_fresh(runtime: str, path: Path, threads: int, images: Images) -> dict[str, float]:
    """Measure a model in a process of its own.

    Args:
        runtime: Name of the runtime.
        path: Model file.
        threads: Number of threads.
        images: One batch of raw pixels.

    Returns:
        `load_ms`, the time to open the file with the runtime already imported; `first_ms`, that of the first inference;
        `peak_rss_mb`, the peak resident memory of the process in 10^6 bytes, and `runtime_rss_mb`, the part of Python
        and the runtime, before the model is opened.

    Raises:
        ModelError: The process fails, or does not end; the message has its last line of output.
    """
    pixels = io.BytesIO()
    np.save(pixels, images, allow_pickle=False)
    job = {"runtime": runtime, "path": str(path.resolve()), "threads": threads}
    code, lines, messages = _run_child(job, pixels.getvalue(), f"{path} in {runtime}")
    if code != 0 or len(lines) < 2:
        raise ModelError(_failure(str(path), runtime, code, lines, messages))
    measurements: dict[str, float] = json.loads(lines[-1])
    return measurements


def _run_child(job: dict[str, Any], content: bytes, subject: str) -> tuple[int, list[bytes], str]:
    """Run a job, and return the exit code, the lines of the result, and the last line of other output."""
    try:
        code, result, last = processes.run_job(__name__, job, content, timeout_s=TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        raise ModelError(f"{subject} did not end within {TIMEOUT_S:g} s, in a fresh process") from exc
    return code, result.splitlines(), last


def _failure(path: str, runtime: str, code: int, lines: list[bytes], last: str) -> str:
    """Describe why a child failed: by a signal or an error, while it imported the runtime or ran the model."""
    started = _STARTED in lines
    subject = f"{path} cannot be run by {runtime}" if started else f"{runtime} does not start"
    name = next((member.name for member in signal.Signals if member == -code), None)
    if name is None:
        return f"{subject} in a fresh process (exit {code}): {last}{'' if started else f'; {GUIDE}'}"
    moment = "running the model" if started else "importing it"
    cause = _CAUSES.get(name, _CAUSE_OF_FILE if started else _OTHER_CAUSE)
    return f"{subject}: {moment} ended a fresh process by {name} ({signal.strsignal(-code)}); {cause}: {GUIDE}"


def _measure(job: dict[str, Any], content: bytes, result: TextIO) -> None:
    """Write a line when the runtime is imported, and one with the measurements if there is a model."""
    from kdcompress.benchmarking import make_runtime

    runtime = make_runtime(job["runtime"])
    runtime.load()
    result.write(f"{_STARTED.decode()}\n")
    result.flush()  # the model may end this process
    if "path" in job:
        result.write(json.dumps(_measure_model(runtime, job, np.load(io.BytesIO(content), allow_pickle=False))))


def _measure_model(runtime: Runtime, job: dict[str, Any], images: Images) -> dict[str, float]:
    before = _peak_bytes()
    start = time.perf_counter_ns()
    session = runtime.open(Path(job["path"]), job["threads"], images.shape)
    loaded = time.perf_counter_ns()
    batch = session.prepare(images)
    ready = time.perf_counter_ns()
    session.invoke(batch)
    first = time.perf_counter_ns()
    for _ in range(_CALLS):
        session.invoke(batch)
    return {
        "load_ms": (loaded - start) / 1e6,
        "first_ms": (first - ready) / 1e6,
        "peak_rss_mb": _peak_bytes() / _MB,
        "runtime_rss_mb": before / _MB,
    }


def _peak_bytes() -> int:
    """Return the peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage includes the memory of the parent when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    _result = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # runtimes write to file descriptor 1 directly
    _measure(*processes.receive_job(), _result)
    _result.close()
