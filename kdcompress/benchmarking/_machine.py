"""Description of the machine that a benchmark runs on."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._cores import ROOT, cores, memory_bytes, physical_cores, read_text
from kdcompress.benchmarking._heat import frequency_mhz
from kdcompress.versions import versions

# Name in results -> CPU flags, as Linux and py-cpuinfo report them
_INSTRUCTIONS = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx512vnni", "avx_vnni", "avxvnni"),
    "amx_int8": ("amx_int8",),
    "neon": ("neon", "asimd"),
    "neon_dot_product": ("asimddp",),
}
_BOARDS = ("proc/device-tree/model", "sys/devices/virtual/dmi/id/product_name")
_TIMEOUT_S = 5


def describe_machine(packages: list[str], root: Path = ROOT) -> dict[str, Any]:
    """Describe the machine.

    Args:
        packages: Packages whose versions are included.
        root: Root of the file system.

    Returns:
        CPU, board, instruction sets, governor, frequencies, memory in 10^6 bytes, operating system and versions; None
        for what is unknown.
    """
    cpu, flags = _cpu(root)
    memory = memory_bytes(root)
    return {
        "cpu": cpu,
        "board": next(filter(None, (read_text(root / path) for path in _BOARDS)), None),
        "arch": platform.machine(),
        "physical_cores": physical_cores(root),
        "logical_cores": os.cpu_count(),
        "usable_cores": cores(),
        "instruction_sets": instruction_sets(list(flags)),
        "governor": read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "max_frequency_mhz": frequency_mhz(root, "cpuinfo_max_freq"),
        "memory_mb": memory[0] / 1e6 if memory else None,
        "memory_available_mb": memory[1] / 1e6 if memory else None,
        "os": platform.platform(),
        "versions": versions(*packages),
    }


def instruction_sets(flags: list[str]) -> dict[str, bool]:
    """Determine the instruction sets that matter for the speed of inference.

    Args:
        flags: Flags of the CPU.

    Returns:
        Whether the CPU has each instruction set.
    """
    return {name: any(alias in flags for alias in aliases) for name, aliases in _INSTRUCTIONS.items()}


@functools.lru_cache(maxsize=1)
def _cpu(root: Path) -> tuple[str | None, tuple[str, ...]]:
    """Name and flags of the CPU."""
    lines = (read_text(root / "proc/cpuinfo") or "").splitlines()
    entries = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    flags = (entries.get("flags") or entries.get("features") or "").split()
    if flags:
        # ARM has numbers there in place of a name
        return entries.get("model name") or _lscpu_name(root) or platform.processor() or None, tuple(flags)
    if importlib.util.find_spec("cpuinfo") is None:
        return platform.processor() or None, ()
    import cpuinfo

    found = cpuinfo.get_cpu_info()
    return found.get("brand_raw") or platform.processor() or None, tuple(found.get("flags", ()))


def _lscpu_name(root: Path) -> str | None:
    program = shutil.which("lscpu") if root == ROOT else None
    if program is None:
        return None
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = [text.strip() for name, _, text in (line.partition(":") for line in done.stdout.splitlines())
             if name.strip() == "Model name"]  # fmt: skip
    return ", ".join(dict.fromkeys(names)) or None  # a CPU of big and little cores has several
