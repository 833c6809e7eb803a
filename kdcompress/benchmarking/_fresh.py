"""What only a fresh process can tell: the time to load a model, its first inference, and its peak of memory."""

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

_CALLS = 5  # after the first; memory has been planned by then
_MB = 1e6
TIMEOUT_S = 600.0  # a file may hold a loop that never ends


def measure_fresh(runtime: str, path: Path, threads: int, images: Images) -> dict[str, float]:
    """{"load_ms", "first_ms", "peak_rss_mb", "runtime_rss_mb"} of a model in a process of its own.

    `load_ms` is opening the file, the runtime already imported; `first_ms` the first inference on `images`, one batch;
    `peak_rss_mb` (10^6 bytes) the highest resident memory of the whole process, of which `runtime_rss_mb` were there
    before the model, Python and the runtime themselves. Errors: ModelError with the last line of a process that failed,
    or did not end.
    """
    pixels = io.BytesIO()
    np.save(pixels, images, allow_pickle=False)
    job = {"runtime": runtime, "path": str(path.resolve()), "threads": threads}
    child = processes.start_module(__name__, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with contextlib.suppress(BrokenPipeError):  # it ended already: what it says tells why
            processes.send_job(child, job, pixels.getvalue())
        answer, said = _until_its_end(child)
    except subprocess.TimeoutExpired as exc:
        raise ModelError(f"{path} did not end within {TIMEOUT_S:g} s in {runtime}, in a fresh process") from exc
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0 or not answer:
        last = (said.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{path} cannot be run by {runtime} in a fresh process (exit {child.returncode}): {last}")
    found: dict[str, float] = json.loads(answer)
    return found


def _until_its_end(child: Any) -> tuple[bytes, bytes]:
    """What a child writes; its standard input stays open meanwhile, for it would end with that."""
    kept, child.stdin = child.stdin, None
    output: tuple[bytes, bytes] = child.communicate(timeout=TIMEOUT_S)
    with contextlib.suppress(BrokenPipeError):
        kept.close()
    return output


def _measure(job: dict[str, Any], images: Images) -> dict[str, float]:
    from kdcompress.benchmarking import make_runtime

    runtime = make_runtime(job["runtime"])
    runtime.load()
    before = _peak_bytes()
    start = time.perf_counter_ns()
    opened = runtime.open(Path(job["path"]), job["threads"], images.shape)
    loaded = time.perf_counter_ns()
    batch = opened.prepare(images)
    ready = time.perf_counter_ns()
    opened.invoke(batch)
    first = time.perf_counter_ns()
    for _ in range(_CALLS):
        opened.invoke(batch)
    return {
        "load_ms": (loaded - start) / 1e6,
        "first_ms": (first - ready) / 1e6,
        "peak_rss_mb": _peak_bytes() / _MB,
        "runtime_rss_mb": before / _MB,
    }


def _peak_bytes() -> int:
    """The peak of this process's resident memory so far."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage also counts what the parent held when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    _answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # runtimes write to 1 by themselves
    _job, _pixels = processes.receive_job()
    _answer.write(json.dumps(_measure(_job, np.load(io.BytesIO(_pixels), allow_pickle=False))))
    _answer.close()
