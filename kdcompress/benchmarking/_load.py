"""The load of other processes during a benchmark."""

from __future__ import annotations

import os
import time
from typing import TypedDict

from kdcompress.benchmarking._cores import cpu_seconds

LOADED = 0.1  # fraction of all cores' time above which the load of other processes affects timings
_SAMPLE_S = 0.5
Seconds = tuple[float, float, float]


class Load(TypedDict):
    """Load of other processes: fractions of all cores' time, and the load average; None for what is unknown."""

    before: float | None
    during: float | None
    load_1min: float | None


class LoadMonitor:
    """Measures the load of other processes, shortly before a benchmark and during it.

    Attributes:
        load_1min: Load average of the last minute, if the system has one.
        before: Fraction of all cores' time before the benchmark.
    """

    def __init__(self) -> None:
        self.load_1min = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        begin = cpu_seconds()
        time.sleep(_SAMPLE_S)
        self._begin = cpu_seconds()
        self.before = _share(begin, self._begin)

    def summary(self) -> Load:
        """Return the load before and during the benchmark."""
        return {"before": self.before, "during": _share(self._begin, cpu_seconds()), "load_1min": self.load_1min}


def others_share(begin: Seconds, end: Seconds) -> float:
    """Compute the share of other processes in all cores' time.

    Args:
        begin: CPU seconds at the start: total, idle, and this process.
        end: The same at the end.

    Returns:
        A fraction.
    """
    total, idle, own = (after - before for before, after in zip(begin, end))  # noqa: B905 (as Python 3.9 has it, on devices)
    return max(0.0, total - idle - own) / total if total > 0 else 0.0


def load_warning(load: Load) -> str | None:
    """Warn of a machine that was loaded.

    Args:
        load: Result of `LoadMonitor.summary`.

    Returns:
        The warning, or None.
    """
    busy = max(load["before"] or 0.0, load["during"] or 0.0)
    if busy <= LOADED:
        return None
    return (
        f"the machine is loaded: other processes took {100 * busy:.0f} % of all cores' time; "
        "intervals are wider than on an idle machine, and percentiles higher"
    )


def _share(begin: Seconds | None, end: Seconds | None) -> float | None:
    return None if begin is None or end is None else others_share(begin, end)
