"""Whether a module can be imported without the heavy libraries."""

from __future__ import annotations

import subprocess
import sys

_HEAVY = ("tensorflow", "keras", "torch", "onnx", "onnxruntime")


def check_light_import(kind: type) -> None:
    """The module of a choice imports none of the heavy libraries: a recipe is checked before they are loaded."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; import {kind.__module__}; "
        f"print([name for name in {_HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{kind.__module__} cannot be imported on its own: {done.stderr}"
    loaded = done.stdout.strip()
    assert loaded == "[]", f"importing {kind.__module__} loads {loaded}: import them in the functions that need them"
