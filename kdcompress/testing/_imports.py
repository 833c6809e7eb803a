"""Whether a module can be imported without the heavy libraries, in a process of its own."""

from __future__ import annotations

import importlib
import subprocess
import sys

from kdcompress import processes
from kdcompress.errors import one_line

_HEAVY = ("tensorflow", "keras", "torch", "onnx", "onnxruntime")


def check_light_import(kind: type) -> None:
    """The module of a choice imports none of the heavy libraries: a recipe is checked before they are loaded."""
    child = processes.start_module(__name__, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        processes.send_job(child, {"module": kind.__module__})
        lines = list(processes.read_lines([child]))
    finally:
        child.kill()
        child.wait()
    assert lines == ["light"], f"importing {kind.__module__}: {' '.join(lines) or 'no answer'}"


def _import(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as exc:  # whatever the module raises is told
        return f"fails with {one_line(exc)}"
    loaded = ", ".join(name for name in _HEAVY if name in sys.modules)
    return f"loads {loaded}: import it in the functions that need it" if loaded else "light"


if __name__ == "__main__":
    job, _ = processes.receive_job()
    sys.stdout.write(_import(job["module"]))
