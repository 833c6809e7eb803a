"""What our timing adds to a call: the p50 of bench beside that of a bare loop around `session.run`.

    python benchmarks/bench_overhead.py MODEL.onnx [--rounds 60] [--turn-ms 50] [--input-shape H,W,C] [--out FILE.json]

Both are taken on one model, with the same options and inputs, in turns. The bare loop keeps one session from the first
turn to the last, as a plain script does; bench opens the model for each turn. Prints JSON; `ratio` is bench / bare with
its 95 % interval, at most 1.03 is allowed (exit code 1).
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from telling import tell

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._statistics import ratio, summarise
from kdcompress.benchmarking._timing import Contender, Plan, take_turns

ALLOWED = 1.03


def bare_session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def bare_turn(session: Any, feeds: list[dict[str, Any]], seconds: float) -> np.ndarray:
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for feed in feeds:
            start = time.perf_counter_ns()
            session.run(None, feed)
            times.append(time.perf_counter_ns() - start)
    return np.array(times)


def measure(path: Path, shape: tuple[int, ...] | None, rounds: int, turn_s: float) -> dict[str, Any]:
    runtime = make_runtime("onnxruntime")
    size = (1, *runtime.signature(path).image_shape(path, shape))
    images = np.random.default_rng(0).integers(0, 256, (16, *size), np.uint8)
    prepare = runtime.open(path, 1, size).prepare
    feeds = [prepare(image) for image in images]
    ours, session, bare = Contender(lambda: runtime.open(path, 1, size).invoke, feeds), bare_session(path), []
    bare_turn(session, feeds, 0.2)

    def after_ours(done: int) -> None:
        bare.append(bare_turn(session, feeds, turn_s))

    take_turns([ours], Plan(rounds, turn_s), after_ours)
    found = ratio(ours.turns, bare)
    return {
        "model": path.name,
        "bench_p50_ms": summarise(ours.turns, 1)["p50_ms"],
        "bare_p50_ms": summarise(bare, 1)["p50_ms"],
        "bare_turns_p50_ms": statistics.median(float(np.median(turn)) for turn in bare) / 1e6,
        "ratio": found.value,
        "ratio_low": found.low,
        "ratio_high": found.high,
        "allowed": ALLOWED,
        "rounds": rounds,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--turn-ms", type=float, default=50)
    parser.add_argument("--input-shape")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    shape = tuple(int(size) for size in given.input_shape.split(",")) if given.input_shape else None
    result = measure(given.model, shape, given.rounds, given.turn_ms / 1000)
    return tell({**result, "passed": result["ratio"] <= ALLOWED}, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
