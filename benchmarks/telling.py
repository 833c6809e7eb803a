"""How benchmarks end: one JSON document, printed and perhaps kept, and an exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def tell(result: dict[str, Any], out: Path | None) -> int:
    """Print `result`, keep it in `out` if that is named, and give 1 where a limit is broken ("passed" is false)."""
    text = json.dumps(result, indent=2)
    if out:
        out.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0 if result.get("passed", True) else 1
