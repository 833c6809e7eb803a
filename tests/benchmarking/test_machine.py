from __future__ import annotations

import pytest

from kdcompress.benchmarking._load import load_warning, others_share
from kdcompress.benchmarking._machine import describe_machine, instruction_sets


def test_the_machine_is_described() -> None:
    machine = describe_machine(["onnxruntime"])
    assert machine["cpu"]
    assert 1 <= machine["usable_cores"] <= machine["logical_cores"]
    assert machine["memory_mb"] > machine["memory_available_mb"] > 0
    assert {"onnxruntime", "kdcompress", "python"} <= machine["versions"].keys()


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        (["sse2", "avx2"], {"avx2"}),
        (["avx2", "avx512f", "avx512_vnni"], {"avx2", "avx512", "vnni"}),
        (["avx2", "avx_vnni"], {"avx2", "vnni"}),
        (["asimd", "asimddp"], {"neon", "neon_dot_product"}),
        ([], set()),
    ],
)
def test_instruction_sets_are_found_by_their_flags(flags: list[str], there: set[str]) -> None:
    assert {name for name, found in instruction_sets(flags).items() if found} == there


def test_the_share_of_others_is_what_is_neither_idle_nor_ours() -> None:
    # of 20 CPU seconds 8 were idle and 6 ours
    assert others_share((100, 40, 10), (120, 48, 16)) == pytest.approx(0.3)
    assert others_share((100, 40, 10), (100, 40, 10)) == 0
    assert others_share((100, 40, 10), (120, 48, 23)) == 0  # clocks of unlike grain may say we took more than there was


def test_a_loaded_machine_is_warned_about_and_an_idle_one_is_not() -> None:
    assert load_warning({"before": 0.02, "during": 0.08, "load_1min": 9.0}) is None
    assert "42 % of all cores' time" in (load_warning({"before": 0.0, "during": 0.42, "load_1min": 0.0}) or "")
