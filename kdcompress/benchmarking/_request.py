"""What a benchmark asks for, checked before anything is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdcompress import registry
from kdcompress.errors import UsageError

DURATION_S = 1.0
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class BenchRequest:
    """Threads and batch sizes (every pair of them is timed), seconds a model, the gate, and what to run on."""

    threads: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    duration_s: float
    max_slowdown: float | None
    input_shape: tuple[int, ...] | None
    end_to_end: Path | None
    runtimes: tuple[str, ...] = ()

    @property
    def settings(self) -> list[tuple[int, int]]:
        """Every (threads, batch size)."""
        return [(threads, batch_size) for threads in self.threads for batch_size in self.batch_sizes]


def make_bench_request(
    threads: Iterable[int] | None = None,
    batch_sizes: Iterable[int] = (1,),
    *,
    duration: float = DURATION_S,
    max_slowdown: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    end_to_end: str | Path | None = None,
    runtimes: Iterable[str] = (),
) -> BenchRequest:
    """The request; without `threads` it is one thread, and as many as there are cores.

    Errors: UsageError for counts below 1, for a duration that is not above 0 or above an hour, for a slowdown not
    above 0.
    """
    if not 0 < duration <= _LONGEST_S:
        raise UsageError(f"--duration must be above 0 and at most {_LONGEST_S:g} seconds, got {duration}")
    if max_slowdown is not None and not (max_slowdown > 0 and math.isfinite(max_slowdown)):
        raise UsageError(f"--max-slowdown must be a number above 0 (student time / teacher time), got {max_slowdown}")
    return BenchRequest(
        _counts("--threads", (1, cores()) if threads is None else threads),
        _counts("--batch-size", batch_sizes),
        float(duration),
        max_slowdown,
        input_shape,
        Path(end_to_end) if end_to_end else None,
        tuple(registry.check("runtimes", name) for name in dict.fromkeys(runtimes)),
    )


def cores() -> int:
    """The cores that this process may use, hyper-threads of one core counted once where that is known."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, psutil.cpu_count(logical=False) or allowed)


def _counts(option: str, given: Iterable[int]) -> tuple[int, ...]:
    counts = tuple(dict.fromkeys(given))
    for count in counts:
        if count < 1:
            raise UsageError(f"{option} must be >= 1, got {count}")
    if not counts:
        raise UsageError(f"{option} must name a number, got none")
    return counts
