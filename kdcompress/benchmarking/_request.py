"""Options of a benchmark, validated before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.benchmarking._cores import cores
from kdcompress.errors import UsageError

DURATION_S = 1.0
ALL = "all"  # as a number of threads: one a core
_MAX_DURATION_S = 3600.0


@dataclass(frozen=True)
class BenchRequest:
    """Validated options of a benchmark.

    Attributes:
        threads: Numbers of threads, each timed with each batch size.
        batch_sizes: Batch sizes.
        duration_s: Seconds of counted calls for each model and setting.
        max_slowdown: Limit of student time / teacher time; None sets no limit.
        input_shape: Shape of an image for files that leave dimensions open.
        end_to_end: Folder of image files to time with reading and decoding.
        runtimes: Names of runtimes; empty for the default of each file.
    """

    threads: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    duration_s: float
    max_slowdown: float | None
    input_shape: tuple[int, ...] | None
    end_to_end: Path | None
    runtimes: tuple[str, ...] = ()

    @property
    def settings(self) -> list[tuple[int, int]]:
        """All pairs of threads and batch size."""
        return [(threads, batch_size) for threads in self.threads for batch_size in self.batch_sizes]


def make_bench_request(
    threads: Iterable[int | str] | None = None,
    batch_sizes: Iterable[int] = (1,),
    *,
    duration: float = DURATION_S,
    max_slowdown: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    end_to_end: str | Path | None = None,
    runtimes: Iterable[str] = (),
) -> BenchRequest:
    """Validate the options of a benchmark.

    Args:
        threads: Numbers of threads, >= 1, or `all` for one a core; by default 1 and all.
        batch_sizes: Batch sizes, >= 1.
        duration: Seconds of counted calls for each model and setting, in (0, 3600].
        max_slowdown: Limit of student time / teacher time, > 0; None sets no limit.
        input_shape: Shape of an image for files that leave dimensions open.
        end_to_end: Folder of image files to time with reading and decoding.
        runtimes: Names of runtimes; by default the first for each file's suffix.

    Returns:
        The request.

    Raises:
        UsageError: An option is invalid.
        RecipeError: There is no runtime of such a name.
    """
    if not 0 < duration <= _MAX_DURATION_S:
        raise UsageError(f"--duration must be above 0 and at most {_MAX_DURATION_S:g} seconds, got {duration}")
    if max_slowdown is not None and not (max_slowdown > 0 and math.isfinite(max_slowdown)):
        raise UsageError(f"--max-slowdown must be a number above 0 (student time / teacher time), got {max_slowdown}")
    return BenchRequest(
        _counts("--threads", [cores() if n == ALL else n for n in ((1, ALL) if threads is None else threads)]),
        _counts("--batch-size", batch_sizes),
        float(duration),
        max_slowdown,
        input_shape,
        Path(end_to_end) if end_to_end else None,
        tuple(registry.check("runtimes", name) for name in dict.fromkeys(runtimes)),
    )


def parse_counts(option: str, text: str) -> list[Any]:
    """Parse a list of numbers.

    Args:
        option: Option that takes them, for errors.
        text: Whole numbers and `all`, with commas between.

    Returns:
        The numbers; `all` stays, since another machine may have other cores.

    Raises:
        UsageError: The text has another form.
    """
    parts = [part.strip() for part in text.split(",")]
    try:
        return [part if part == ALL else int(part) for part in parts]
    except ValueError:
        raise UsageError(f"{option} takes whole numbers such as 1,4, got {text!r}") from None


def _counts(option: str, values: Iterable[int | str]) -> tuple[int, ...]:
    counts = []
    for count in dict.fromkeys(values):
        if isinstance(count, str):
            raise UsageError(f"{option} takes whole numbers such as 1,4, got {count!r}")
        if count < 1:
            raise UsageError(f"{option} must be >= 1, got {count}")
        counts.append(count)
    if not counts:
        raise UsageError(f"{option} must name a number, got none")
    return tuple(counts)
