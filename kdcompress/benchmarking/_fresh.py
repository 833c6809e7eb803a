"""Measurements in a fresh process: the time to load a model, its first inference, and its peak memory."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress import processes
from kdcompress.benchmarking._base import Images
from kdcompress.errors import ModelError

_CALLS = 5  # after the first, until the runtime has allocated its memory
_MB = 1e6
TIMEOUT_S = 600.0  # a file may contain an endless loop


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
    child = processes.start_module(__name__, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with contextlib.suppress(BrokenPipeError):  # it has ended already; its output says why
            processes.send_job(child, job, pixels.getvalue())
        result, messages = _communicate(child)
    except subprocess.TimeoutExpired as exc:
        raise ModelError(f"{path} did not end within {TIMEOUT_S:g} s in {runtime}, in a fresh process") from exc
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0 or not result:
        last = (messages.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{path} cannot be run by {runtime} in a fresh process (exit {child.returncode}): {last}")
    measurements: dict[str, float] = json.loads(result)
    return measurements


def _communicate(child: Any) -> tuple[bytes, bytes]:
    """Read the output of a child while its standard input stays open, since it ends when that is closed."""
    stdin, child.stdin = child.stdin, None
    output: tuple[bytes, bytes] = child.communicate(timeout=TIMEOUT_S)
    with contextlib.suppress(BrokenPipeError):
        stdin.close()
    return output


def _measure(job: dict[str, Any], images: Images) -> dict[str, float]:
    from kdcompress.benchmarking import make_runtime

    runtime = make_runtime(job["runtime"])
    runtime.load()
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
    _job, _pixels = processes.receive_job()
    _result.write(json.dumps(_measure(_job, np.load(io.BytesIO(_pixels), allow_pickle=False))))
    _result.close()
