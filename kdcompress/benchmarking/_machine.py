"""The machine that times were taken on, and what else it was doing meanwhile."""

from __future__ import annotations

import functools
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil

from kdcompress.benchmarking._request import cores

# Of all cores' time; above it, others' work shows in the times
LOADED = 0.1
_LOOK_S = 0.5
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
# Our word -> the flags by which CPUs (and py-cpuinfo) call it
_INSTRUCTIONS = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni"),
    "amx_int8": ("amx_int8",),
    "neon": ("neon", "asimd"),
    "neon_dot_product": ("asimddp",),
}


def describe_machine(packages: list[str]) -> dict[str, Any]:
    """CPU, instruction sets, governor, memory, system and versions, of `packages` too; None for what cannot be read."""
    from kdcompress.versions import versions

    facts = _cpu()
    memory = psutil.virtual_memory()
    return {
        "cpu": facts.get("brand_raw") or platform.processor() or None,
        "arch": platform.machine(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": psutil.cpu_count(),
        "usable_cores": cores(),
        "instruction_sets": instruction_sets(facts.get("flags", [])),
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
    """Which of the instruction sets that decide the speed of inference are among a CPU's flags."""
    return {name: any(flag in flags for flag in spelled) for name, spelled in _INSTRUCTIONS.items()}


class OthersLoad:
    """What other processes take of the machine: before the measurement, and from then to the end."""

    def __init__(self) -> None:
        self.load_1min = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        begin = _seconds()
        time.sleep(_LOOK_S)
        self._begin = _seconds()
        self.before = share(begin, self._begin)

    def facts(self) -> dict[str, float | None]:
        """`before` and `during` as parts of all cores' time, and the system's load average of a minute."""
        return {"before": self.before, "during": share(self._begin, _seconds()), "load_1min": self.load_1min}


def share(begin: tuple[float, float, float], end: tuple[float, float, float]) -> float:
    """The part of all cores' time that others took between two readings of (total, idle, our own) CPU seconds."""
    total, idle, own = (after - before for before, after in zip(begin, end, strict=True))
    return max(0.0, total - idle - own) / total if total > 0 else 0.0


def load_warning(load: dict[str, float | None]) -> str | None:
    """A sentence on a machine that was busy with other things, or None."""
    busy = max(load["before"] or 0.0, load["during"] or 0.0)
    if busy <= LOADED:
        return None
    return (
        f"the machine is loaded: other processes took {100 * busy:.0f} % of all cores' time; "
        "intervals are wider than on an idle machine, and percentiles higher"
    )


def _seconds() -> tuple[float, float, float]:
    times = psutil.cpu_times()
    spent = {name: value for name, value in times._asdict().items() if not name.startswith("guest")}
    idle = spent["idle"] + spent.get("iowait", 0.0)
    own = psutil.Process().cpu_times()
    children = getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
    return sum(spent.values()), idle, own.user + own.system + children
