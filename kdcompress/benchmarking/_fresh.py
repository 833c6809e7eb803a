"""What only a fresh process can tell: the time to load a model, its first inference, and its peak of memory.

python -m kdcompress.benchmarking._fresh JOB.json     writes the answer to the file that the job names
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking._base import Images
from kdcompress.errors import ModelError

_CALLS = 5  # after the first; memory has been planned by then
_MB = 1e6


def measure_fresh(runtime: str, path: Path, threads: int, images: Images) -> dict[str, float]:
    """{"load_ms", "first_ms", "peak_rss_mb", "runtime_rss_mb"} of a model in a process of its own.

    `load_ms` is opening the file, the runtime already imported; `first_ms` the first inference on `images`, one batch;
    `peak_rss_mb` (10^6 bytes) the highest resident memory of the whole process, of which `runtime_rss_mb` were there
    before the model, Python and the runtime themselves. Errors: ModelError with the last line of a process that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        images_file, answer, job = (Path(folder) / name for name in ("images.npy", "answer.json", "job.json"))
        np.save(images_file, images)
        facts = {"runtime": runtime, "path": str(path.resolve()), "threads": threads}
        job.write_text(json.dumps({**facts, "images": str(images_file), "answer": str(answer)}), encoding="utf-8")
        command = [sys.executable, "-m", "kdcompress.benchmarking._fresh", str(job)]
        done = subprocess.run(
            command, env=_environment(), capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode != 0 or not answer.exists():
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelError(f"{path} cannot be run by {runtime} in a fresh process (exit {done.returncode}): {said}")
        found: dict[str, float] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _environment() -> dict[str, str]:
    """Ours, in which kdcompress is found also where only this process's sys.path leads to it."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}


def _measure(job: dict[str, Any]) -> dict[str, float]:
    from kdcompress.benchmarking import make_runtime

    runtime, images = make_runtime(job["runtime"]), np.load(job["images"])
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
    _job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(_job["answer"]).write_text(json.dumps(_measure(_job)), encoding="utf-8")
