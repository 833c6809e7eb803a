"""The methods of one's own that the guide shows keep the contract, but for the import of Keras at its top."""

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
@pytest.mark.parametrize("name", ["LogitsMSE", "EmbeddingMAE"])
def test_the_guide_s_methods(
    name: str, check: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = GUIDE.read_text(encoding="utf-8").split("```python\n")[1:]
    code = next(block for block in blocks if f"class {name}" in block)
    module = f"my_{name.lower()}"
    (tmp_path / f"{module}.py").write_text(code[: code.index("```")], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    check(registry.load("methods", f"{module}:{name}")())
