"""Killed commands go on; `torture.py` kills many more."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust.kill import Killer
from trust.worker import Worker

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("job", "number"), [("distill", 0), ("export", 0), ("make-synthetic", 2)])
def test_a_killed_command_comes_to_the_same(job: str, number: int, worker: Worker, tmp_path: Path) -> None:
    for kill in Killer(worker, tmp_path, seed=0, names=(job,)).run(range(number, number + 1)):
        assert not kill.problems, (kill.job, kill.moment, kill.problems)
        assert kill.landed
