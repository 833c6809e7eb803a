"""Damaged files: an error, the same answer, or another fingerprint; nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from trust.corrupt import DAMAGES, ERROR, SAME, Corrupter
from trust.worker import Worker

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("numbers", [range(24), pytest.param(range(24, 60), marks=pytest.mark.exhaustive)], ids=str)
def test_damage_is_noticed_or_harmless(numbers: range, worker: Worker, tmp_path: Path) -> None:
    found = list(Corrupter(worker, tmp_path, seed=0, quick=True).run(numbers))
    wrong = [(one.again, one.scenario, one.file, one.damage, one.problems) for one in found if one.problems]
    assert not wrong
    counts = Counter(one.verdict for one in found)
    assert counts[ERROR] > counts[SAME]  # else it damages nothing that matters
    assert {one.damage for one in found} == {damage.__name__ for damage in DAMAGES}
