"""How long workers take to add up the gradients of models of several sizes, each worker a process of this machine.

`python benchmarks/all_reduce.py [--workers 2] [--params 0.1,1,4,25] [--seconds 5] [--out FILE]` measures what a step of
a training on several workers adds to one of one process: the sum of all gradients, over sockets on loopback. For each
size it gives the median and the quartiles in milliseconds, and the bytes that each worker sent a second; then the same
for the two numbers a channel that a BatchNorm of 64 channels exchanges. The document is what the plan for several
machines is computed from: on a network, the bytes take its time in place of loopback's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from telling import tell

from kdcompress.benchmarking._machine import describe_machine
from kdcompress.training.ring import Ring, RingDoor

SMALL = 2 * 64  # floats of a BatchNorm of 64 channels: a mean and a variance each
WARM_UP = 3


def worker(rank: int, pipe: Any, sizes: list[int], seconds: float) -> None:
    """Sum vectors of each size for some seconds, as often as worker 0 says."""
    door = RingDoor("127.0.0.1", b"a secret of benchmarks")
    pipe.send(door.address)
    ring = door.join(rank, pipe.recv())
    pipe.send([time_size(ring, size, seconds) for size in sizes])
    ring.close()


def time_size(ring: Ring, size: int, seconds: float) -> list[float]:
    """Seconds of each sum."""
    vector = np.random.default_rng(ring.rank).normal(size=size).astype(np.float32)
    for _ in range(WARM_UP):
        ring.sum(vector)
    times: list[float] = []
    begin, more = time.perf_counter(), True
    while more:
        start = time.perf_counter()
        ring.sum(vector)
        times.append(time.perf_counter() - start)
        more = ring.from_leader(b"more" if time.perf_counter() - begin < seconds else b"") == b"more"
    return list(times)


def measure(workers: int, sizes: list[int], seconds: float) -> list[list[float]]:
    """Seconds of each sum of each size, as worker 0 measured them."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(workers)]
    processes = [
        context.Process(target=worker, args=(rank, pipes[rank][1], sizes, seconds), daemon=True)
        for rank in range(workers)
    ]
    for process in processes:
        process.start()
    addresses = [pipe.recv() for pipe, _ in pipes]
    for pipe, _ in pipes:
        pipe.send(addresses)
    times, *_ = [pipe.recv() for pipe, _ in pipes]
    for process in processes:
        process.join(timeout=30)
    return list(times)


def summary(params: int, workers: int, times: list[float]) -> dict[str, Any]:
    """The figures of one size."""
    low, middle, high = np.percentile(times, [25, 50, 75])
    sent = 2 * (workers - 1) / workers * 4 * params
    return {
        "params": params,
        "n": len(times),
        "p25_ms": round(1000 * low, 4),
        "p50_ms": round(1000 * middle, 4),
        "p75_ms": round(1000 * high, 4),
        "sent_bytes": round(sent),
        "sent_bytes_per_second": round(sent / statistics.median(times)),
    }


def main() -> int:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--params", default="0.1,1,4,25", help="Millions of parameters.")
    parser.add_argument("--seconds", type=float, default=5.0, help="For each size.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sizes = [int(1e6 * float(text)) for text in arguments.params.split(",")]
    *large, small = measure(arguments.workers, [*sizes, SMALL], arguments.seconds)
    pairs = zip(sizes, large, strict=True)
    result = {
        "benchmark": "all_reduce",
        "machine": describe_machine(["numpy"]),
        "workers": arguments.workers,
        "network": "loopback",
        "sizes": [summary(size, arguments.workers, times) for size, times in pairs],
        "batch_norm": summary(SMALL, arguments.workers, small),
    }
    return tell(result, arguments.out)


if __name__ == "__main__":
    raise SystemExit(main())
