"""Cores, memory and CPU time of the machine: from /proc and /sys on Linux, which devices run, elsewhere from psutil."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

ROOT = Path("/")


def cores() -> int:
    """Count the physical cores that this process may use; logical cores if the physical ones are unknown."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, physical_cores() or allowed)


def physical_cores(root: Path = ROOT) -> int | None:
    """Count the physical cores of the machine.

    Args:
        root: Root of the file system.

    Returns:
        The number, or None if it is unknown.
    """
    folders = root.glob("sys/devices/system/cpu/cpu[0-9]*/topology")
    found = {(read_text(path / "physical_package_id"), read_text(path / "core_id")) for path in folders}
    if found:
        return len(found)
    if not _has_psutil():
        return None
    import psutil

    return psutil.cpu_count(logical=False) or None


def memory_bytes(root: Path = ROOT) -> tuple[int, int] | None:
    """Read the memory of the machine.

    Args:
        root: Root of the file system.

    Returns:
        (total, available) in bytes, or None if they are unknown.
    """
    lines = (read_text(root / "proc/meminfo") or "").splitlines()
    kib = {name: text.split()[0] for name, _, text in (line.partition(":") for line in lines) if text.strip()}
    if {"MemTotal", "MemAvailable"} <= kib.keys():
        return int(kib["MemTotal"]) * 1024, int(kib["MemAvailable"]) * 1024
    if not _has_psutil():
        return None
    import psutil

    memory = psutil.virtual_memory()
    return memory.total, memory.available


def cpu_seconds(root: Path = ROOT) -> tuple[float, float, float] | None:
    """Read the CPU time that has passed.

    Args:
        root: Root of the file system.

    Returns:
        CPU seconds of all cores: in all, idle, and of this process and its ended children; None if they are unknown.
    """
    own = os.times()
    ours = own.user + own.system + own.children_user + own.children_system
    line = (read_text(root / "proc/stat") or "").partition("\n")[0].split()
    if line[:1] == ["cpu"]:
        # user nice system idle iowait irq softirq steal; guest times, which follow, are part of user and nice
        ticks = [int(text) / os.sysconf("SC_CLK_TCK") for text in line[1:9]]
        return sum(ticks), ticks[3] + (ticks[4] if len(ticks) > 4 else 0.0), ours
    if not _has_psutil():
        return None
    import psutil

    times = psutil.cpu_times()._asdict()
    return sum(times.values()), times["idle"], ours


def read_text(path: Path) -> str | None:
    """Read a file of the system.

    Args:
        path: File.

    Returns:
        Its text without white space and null characters around it; None if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n\t") or None
    except OSError:
        return None


def _has_psutil() -> bool:
    return importlib.util.find_spec("psutil") is not None
