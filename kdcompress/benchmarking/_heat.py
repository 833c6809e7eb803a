"""Temperature and throttling of the machine during a benchmark, where the system tells them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TypedDict

from kdcompress.benchmarking._cores import ROOT, read_text

HEATED = 10.0  # degrees above which a rise is told
_PLAUSIBLE = (-40.0, 150.0)  # sensors that are not connected report values outside
_CPU_SENSORS = ("cpu", "soc", "x86_pkg", "core", "acpitz", "k10", "bigcore", "littlecore")
# Bits of the Raspberry Pi's firmware, as its documentation of `vcgencmd get_throttled` has them: what is so now
_RASPBERRY = {0: "under-voltage", 1: "its frequency capped", 2: "throttled", 3: "at its soft temperature limit"}
_TIMEOUT_S = 5


class Heat(TypedDict):
    """Temperatures in degrees Celsius, and what slowed the CPU down; None for what the system does not tell."""

    before_c: float | None
    after_c: float | None
    max_c: float | None
    frequency_before_mhz: float | None
    frequency_after_mhz: float | None
    throttled: list[str] | None


class HeatMonitor:
    """Follows temperature and throttling from its creation on.

    Args:
        root: Root of the file system.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._before = self._max = temperature(root)
        self._frequency = frequency_mhz(root)
        self._counts = _throttle_counts(root)
        self._states = set(_firmware_states(root) or ())

    def sample(self) -> None:
        """Take the temperature and the state of the firmware now."""
        found = temperature(self._root)
        if found is not None:
            self._max = max(found, self._max if self._max is not None else found)
        self._states |= set(_firmware_states(self._root) or ())

    def summary(self) -> Heat:
        """Return what was seen since the start."""
        self.sample()
        return {
            "before_c": self._before,
            "after_c": temperature(self._root),
            "max_c": self._max,
            "frequency_before_mhz": self._frequency,
            "frequency_after_mhz": frequency_mhz(self._root),
            "throttled": self._throttled(),
        }

    def _throttled(self) -> list[str] | None:
        counts = _throttle_counts(self._root)
        if counts is None and _firmware_states(self._root) is None:
            return None
        risen = counts is not None and self._counts is not None and counts > self._counts
        return sorted(self._states | ({"throttled"} if risen else set()))


def temperature(root: Path = ROOT) -> float | None:
    """Read the temperature of the CPU in degrees Celsius, the highest of its sensors.

    Args:
        root: Root of the file system.

    Returns:
        The temperature; None without a sensor.
    """
    found = []
    for zone in root.glob("sys/class/thermal/thermal_zone*"):
        kind, text = read_text(zone / "type") or "", read_text(zone / "temp") or ""
        value = int(text) / 1000 if text.lstrip("-").isdigit() else None
        if value is not None and _PLAUSIBLE[0] < value < _PLAUSIBLE[1] and kind.lower().startswith(_CPU_SENSORS):
            found.append(value)
    return max(found, default=None)


def frequency_mhz(root: Path = ROOT, name: str = "scaling_cur_freq") -> float | None:
    """Read a frequency of the first core.

    Args:
        root: Root of the file system.
        name: `scaling_cur_freq` for the one of this moment, `cpuinfo_max_freq` for the highest possible.

    Returns:
        The frequency in MHz, or None.
    """
    text = read_text(root / "sys/devices/system/cpu/cpu0/cpufreq" / name) or ""
    return int(text) / 1000 if text.isdigit() else None


def heat_warning(heat: Heat) -> str | None:
    """Warn of a machine that heated up or slowed itself down.

    Args:
        heat: Result of `HeatMonitor.summary`.

    Returns:
        The warning, or None.
    """
    texts = []
    before, highest = heat["before_c"], heat["max_c"]
    if before is not None and highest is not None and highest - before >= HEATED:
        texts.append(f"heated up from {before:.0f} to {highest:.0f} °C")
    if heat["throttled"]:
        texts.append(f"was {', '.join(heat['throttled'])}")
    if not texts:
        return None
    return f"the machine {' and '.join(texts)}: its times hold for this state; cool it, or let it rest between runs"


def _throttle_counts(root: Path) -> int | None:
    """How often the cores of an x86 CPU have been throttled since the start of the system."""
    files = root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    counts = [int(text) for text in map(read_text, files) if text and text.isdigit()]
    return sum(counts) if counts else None


def _firmware_states(root: Path) -> list[str] | None:
    """What the firmware of a Raspberry Pi says of this moment; None on other machines."""
    text = read_text(root / "sys/devices/platform/soc/soc:firmware/get_throttled") or _vcgencmd(root)
    try:
        bits = int((text or "").rpartition("=")[2], 16)
    except ValueError:
        return None
    return [state for bit, state in _RASPBERRY.items() if bits >> bit & 1]


def _vcgencmd(root: Path) -> str | None:
    program = shutil.which("vcgencmd") if root == ROOT else None
    if program is None:
        return None
    try:
        command = [program, "get_throttled"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()
