"""A full disk: one line, nothing half-written, and the same command goes on when there is space."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust.disk import NoMounts, run_full
from trust.worker import Worker


def test_an_export_to_a_full_disk(worker: Worker, tmp_path: Path) -> None:
    try:
        full = run_full(worker, tmp_path / "place", "export", 8)
    except NoMounts as exc:
        pytest.skip(str(exc))
    assert not full.problems
