from __future__ import annotations

from pathlib import Path

from kdcompress.benchmarking._cores import cpu_seconds, memory_bytes, physical_cores
from kdcompress.benchmarking._heat import HeatMonitor, frequency_mhz, heat_warning, temperature
from kdcompress.benchmarking._machine import describe_machine

FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def zone(root: Path, number: int, kind: str, temp: str) -> None:
    folder = f"sys/class/thermal/thermal_zone{number}"
    write(root, **{f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{temp}\n"})


def test_the_hottest_sensor_of_the_cpu_counts(tmp_path: Path) -> None:
    assert temperature(tmp_path) is None
    zone(tmp_path, 0, "battery", "90000")
    zone(tmp_path, 1, "cpu-thermal", "48250")
    zone(tmp_path, 2, "soc-thermal", "51000")
    zone(tmp_path, 3, "cpu1-thermal", "-274000")  # not connected
    assert temperature(tmp_path) == 51.0


def test_a_machine_that_heats_up_is_told(tmp_path: Path) -> None:
    zone(tmp_path, 0, "cpu-thermal", "48000")
    heat = HeatMonitor(tmp_path)
    assert heat_warning(heat.summary()) is None
    zone(tmp_path, 0, "cpu-thermal", "71400")
    heat.sample()
    zone(tmp_path, 0, "cpu-thermal", "60000")
    found = heat.summary()
    assert (found["before_c"], found["after_c"], found["max_c"]) == (48.0, 60.0, 71.4)
    assert found["throttled"] is None  # nothing tells
    assert "heated up from 48 to 71 °C" in (heat_warning(found) or "")


def test_what_the_firmware_of_a_raspberry_pi_says_meanwhile_is_told(tmp_path: Path) -> None:
    write(tmp_path, **{FIRMWARE: "50000\n"})  # both have occurred before, neither is so now
    heat = HeatMonitor(tmp_path)
    assert heat.summary()["throttled"] == []
    write(tmp_path, **{FIRMWARE: "50005\n"})
    heat.sample()
    write(tmp_path, **{FIRMWARE: "50000\n"})
    found = heat.summary()
    assert found["throttled"] == ["throttled", "under-voltage"]
    assert "was throttled, under-voltage" in (heat_warning(found) or "")


def test_a_throttled_x86_cpu_is_told_by_its_counter(tmp_path: Path) -> None:
    counter = "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count"
    write(tmp_path, **{counter: "7\n"})
    heat = HeatMonitor(tmp_path)
    assert heat.summary()["throttled"] == []
    write(tmp_path, **{counter: "9\n"})
    assert heat.summary()["throttled"] == ["throttled"]


def test_a_raspberry_pi_is_described_by_its_files(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu/cpu0"
    write(
        tmp_path,
        **{
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": "processor : 0\nFeatures : fp asimd evtstrm\nCPU part : 0xd08\n",
            "proc/meminfo": "MemTotal: 3884340 kB\nMemAvailable: 3000000 kB\n",
            f"{cpu}/topology/physical_package_id": "0\n",
            f"{cpu}/topology/core_id": "0\n",
            "sys/devices/system/cpu/cpu1/topology/physical_package_id": "0\n",
            "sys/devices/system/cpu/cpu1/topology/core_id": "1\n",
            f"{cpu}/cpufreq/scaling_governor": "ondemand\n",
            f"{cpu}/cpufreq/scaling_cur_freq": "600000\n",
            f"{cpu}/cpufreq/cpuinfo_max_freq": "1800000\n",
            "proc/stat": "cpu  100 0 50 800 50 0 0 0 10 0\n",
        },
    )
    found = describe_machine(["numpy"], tmp_path)
    assert found["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert found["instruction_sets"]["neon"]
    assert not found["instruction_sets"]["neon_dot_product"]
    assert (found["governor"], found["max_frequency_mhz"]) == ("ondemand", 1800.0)
    assert (found["memory_mb"], memory_bytes(tmp_path)) == (3977.56416, (3884340 * 1024, 3000000 * 1024))
    assert physical_cores(tmp_path) == 2
    assert frequency_mhz(tmp_path) == 600.0
    total, idle, _ = cpu_seconds(tmp_path) or (0, 0, 0)
    assert idle / total == 0.85  # guest times are part of user
