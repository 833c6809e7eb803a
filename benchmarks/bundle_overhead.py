"""What a bundle adds to a call: the p50 of `python3 NAME.pyz` beside that of `kdcompress bench`, in turns.

    python benchmarks/bundle_overhead.py RUN [--device PYTHON] [--rounds 4] [--duration 1] [--out FILE.json]

PYTHON has NumPy and a runtime; by default it is this one. Prints JSON; `ratio` is bundle / bench, a geometric mean over
rounds and models at one thread, at most 1.03 is allowed (exit code 1). `ready_s` is how long making the bundle takes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from telling import tell

ALLOWED = 1.03
READY_S = 10.0
MAX_BYTES = 20_000_000


def times(document: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    rows = (row for row in document["models"] if row["threads"] == 1)
    return {(row["name"], row["precision"], row["runtime"]): row["p50_ms"] for row in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--device", default=sys.executable, help="Python with NumPy and a runtime")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--duration", default="1")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    options = ["--threads", "1", "--duration", given.duration]
    ours = [sys.executable, "-m", "kdcompress"]
    logs: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle, result = Path(folder) / "here.pyz", Path(folder) / "here.json"
        # Once before the clock counts: the teacher's export is in the cache afterwards, as it is after `bench`
        make = [*ours, "bundle", str(given.run), "--out", str(bundle)]
        subprocess.run(make, check=True, capture_output=True)
        start = time.perf_counter()
        subprocess.run(make, check=True, capture_output=True)
        ready = time.perf_counter() - start
        for _ in range(given.rounds):
            command = [*ours, "bench", str(given.run), "--json", *options]
            here = times(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            device = [given.device, str(bundle), "--out", str(result), *options]
            subprocess.run(device, check=True, capture_output=True)
            there = times(json.loads(result.read_text()))
            common = sorted(here.keys() & there.keys())
            logs.append(np.log([there[key] / here[key] for key in common]))
        size = bundle.stat().st_size
    by_model = np.exp(np.mean(logs, axis=0))
    found = float(np.exp(np.mean(logs)))
    return tell(
        {
            "run": given.run.name,
            "ratio": found,
            "ratio_by_model": {" ".join(key): float(value) for key, value in zip(common, by_model, strict=True)},
            "ratio_by_round": [float(np.exp(values.mean())) for values in logs],
            "allowed": ALLOWED,
            "bundle_bytes": size,
            "ready_s": round(ready, 2),
            "passed": found <= ALLOWED and size <= MAX_BYTES and ready <= READY_S,
        },
        given.out,
    )


if __name__ == "__main__":
    raise SystemExit(main())
