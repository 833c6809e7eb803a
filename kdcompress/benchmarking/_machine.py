"""Description of the machine, and the load of other processes during a benchmark."""

from __future__ import annotations

import functools
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil

from kdcompress.benchmarking._request import cores

LOADED = 0.1  # fraction of all cores' time above which the load of other processes affects timings
_SAMPLE_S = 0.5
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# Name in results -> CPU flags, as py-cpuinfo reports them
_INSTRUCTIONS = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni"),
    "amx_int8": ("amx_int8",),
    "neon": ("neon", "asimd"),
    "neon_dot_product": ("asimddp",),
}


def describe_machine(packages: list[str]) -> dict[str, Any]:
    """Describe the machine.

    Args:
        packages: Packages whose versions are included.

    Returns:
        CPU, instruction sets, governor, memory in 10^6 bytes, operating system and versions; None for what is unknown.
    """
    from kdcompress.versions import versions

    cpu = _cpu()
    memory = psutil.virtual_memory()
    return {
        "cpu": cpu.get("brand_raw") or platform.processor() or None,
        "arch": platform.machine(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "usable_cores": cores(),
        "instruction_sets": instruction_sets(cpu.get("flags", [])),
        "governor": _GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        "memory_mb": memory.total / 1e6,
        "memory_available_mb": memory.available / 1e6,
        "os": platform.platform(),
        "versions": versions(*packages),
    }


@functools.lru_cache(maxsize=1)  # py-cpuinfo takes a second
def _cpu() -> dict[str, Any]:
    import cpuinfo

    return dict(cpuinfo.get_cpu_info())


def instruction_sets(flags: list[str]) -> dict[str, bool]:
    """Determine the instruction sets that matter for the speed of inference.

    Args:
        flags: Flags of the CPU.

    Returns:
        Whether the CPU has each instruction set.
    """
    return {name: any(alias in flags for alias in aliases) for name, aliases in _INSTRUCTIONS.items()}


class LoadMonitor:
    """Measures the load of other processes, shortly before a benchmark and during it.

    Attributes:
        load_1min: Load average of the last minute, if the system has one.
        before: Fraction of all cores' time before the benchmark.
    """

    def __init__(self) -> None:
        self.load_1min = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        begin = _cpu_seconds()
        time.sleep(_SAMPLE_S)
        self._begin = _cpu_seconds()
        self.before = others_share(begin, self._begin)

    def summary(self) -> dict[str, float | None]:
        """Return `before` and `during`, fractions of all cores' time, and `load_1min`."""
        during = others_share(self._begin, _cpu_seconds())
        return {"before": self.before, "during": during, "load_1min": self.load_1min}


def others_share(begin: tuple[float, float, float], end: tuple[float, float, float]) -> float:
    """Compute the share of other processes in all cores' time.

    Args:
        begin: CPU seconds at the start: total, idle, and this process.
        end: The same at the end.

    Returns:
        A fraction.
    """
    total, idle, own = (after - before for before, after in zip(begin, end, strict=True))
    return max(0.0, total - idle - own) / total if total > 0 else 0.0


def load_warning(load: dict[str, float | None]) -> str | None:
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


def _cpu_seconds() -> tuple[float, float, float]:
    times = {name: value for name, value in psutil.cpu_times()._asdict().items() if not name.startswith("guest")}
    idle = times["idle"] + times.get("iowait", 0.0)
    own = psutil.Process().cpu_times()
    children = getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
    return sum(times.values()), idle, own.user + own.system + children
