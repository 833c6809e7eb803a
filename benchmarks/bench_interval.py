"""Whether bench's 95 % interval is honest: on two copies of one model it must cover 1, nearly always.

    python benchmarks/bench_interval.py MODEL [--runs 20] [--duration 1] [--threads 1] [--out interval.json]

MODEL is an .onnx or .tflite file. Each run is a whole `kdcompress.bench` of the file and a copy of it. At least 17 of
20 intervals must cover 1 (exit code 1): if each does with probability 0.95, fewer happen once in 60 times. Prints JSON.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from telling import tell

import kdcompress

ALLOWED_SHARE = 17 / 20


def measure(model: Path, runs: int, duration: float, threads: int) -> dict[str, Any]:
    intervals = []
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(shutil.copy(model, Path(folder) / f"{name}{model.suffix}")) for name in ("first", "second")]
        for _ in range(runs):
            result = kdcompress.bench(*copies, threads=[threads], duration=duration)
            (pair,) = result["comparisons"]
            found = {key: pair[key] for key in ("speedup", "speedup_low", "speedup_high")}
            intervals.append({**found, "covers_1": not pair["distinguishable"], "load": result["machine"]["load"]})
    covered = sum(one["covers_1"] for one in intervals)
    return {
        "model": model.name,
        "runs": runs,
        "duration_s": duration,
        "threads": threads,
        "covered": covered,
        "passed": covered >= ALLOWED_SHARE * runs,
        "intervals": intervals,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--duration", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(given.model, given.runs, given.duration, given.threads)
    return tell(result, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
