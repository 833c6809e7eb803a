"""How fast one runtime is against another on the same file, in turns.

    python benchmarks/runtimes.py FIRST SECOND FILE... [--threads 1,2] [--duration 2] [--out runtimes.json]

FIRST and SECOND are names of `kdcompress list runtimes` that both run the files, such as litert and litert-compiled.
Each row is the time of FIRST / that of SECOND with its 95 % interval, of a whole `kdcompress.bench`. Prints JSON.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from telling import tell

import kdcompress


def measure(first: str, second: str, files: list[Path], threads: list[int], duration: float) -> dict[str, Any]:
    rows = []
    for file in files:
        result = kdcompress.bench(file, threads=threads, duration=duration, runtimes=[first, second])
        kept = ("threads", "speedup", "speedup_low", "speedup_high", "distinguishable")
        rows += [{"file": file.name, **{key: pair[key] for key in kept}} for pair in result["comparisons"]]
    return {"first": first, "second": second, "duration_s": duration, "passed": True, "rows": rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    threads = [int(text) for text in given.threads.split(",")]
    return tell(measure(given.first, given.second, given.files, threads, given.duration), given.out)


if __name__ == "__main__":
    raise SystemExit(main())
