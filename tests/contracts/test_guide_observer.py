"""The observer of one's own that the guide shows keeps the contract."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdcompress.testing import OBSERVER_CHECKS

GUIDE = Path(__file__).parents[2] / "docs/pages/guides/observers.md"


@pytest.mark.parametrize("check", OBSERVER_CHECKS, ids=lambda check: check.__name__)
def test_the_guide_s_observer(
    check: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = GUIDE.read_text(encoding="utf-8").partition("## Your own\n")[2]
    (tmp_path / "guide_observer.py").write_text(code.partition("```python\n")[2].partition("```")[0])
    monkeypatch.syspath_prepend(tmp_path)
    bell = importlib.import_module("guide_observer").Bell(times=2)
    check(bell)
    rung = {"check_run": "\a\a", "check_resume": "\a\a", "check_close": "\a\a"}.get(check.__name__, "")
    assert capsys.readouterr().out.startswith(rung)
