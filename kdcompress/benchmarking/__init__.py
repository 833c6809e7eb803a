"""One file per runtime, each defining RUNTIME; timing, statistics and the machine in the underscored parts."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.benchmarking._base import Runtime


def make_runtime(name: str) -> Runtime:
    """The runtime of that name; RecipeError with the choices if there is none."""
    made: Runtime = registry.load("runtimes", name)()
    return made


def find_runtime(path: Path) -> str | None:
    """The name of the runtime that a file is for, by its ending, or None."""
    names = registry.choices("runtimes")
    return next((name for name in names if path.suffix.lower() == make_runtime(name).suffix), None)


__all__ = ["Runtime", "find_runtime", "make_runtime"]
