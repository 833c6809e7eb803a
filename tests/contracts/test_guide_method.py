"""The method of one's own that the guide shows keeps the contract, but for the import of Keras at its top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdcompress import registry
from kdcompress.testing import METHOD_CHECKS

GUIDE = Path(__file__).parents[2] / "docs/pages/guides/extending.md"


CHECKS = [check for check in METHOD_CHECKS if check.__name__ != "check_import"]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_guide_s_method(check: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    begin = text.index("from keras import ops\n")
    (tmp_path / "my_method.py").write_text(text[begin : text.index("```", begin)], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    method = registry.load("methods", "my_method:LogitsMSE")()
    check(method)
