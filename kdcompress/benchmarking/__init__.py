"""Timing of model files on runtimes: the runtimes are in `formats/`, timing, statistics and the machine in the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdcompress import registry
from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature


def make_runtime(name: str) -> Runtime:
    """The runtime of a name, or of package.module:Class.

    Raises:
        RecipeError: There is none, with the choices.
    """
    made: Runtime = registry.load("runtimes", name)()
    return made


def runtimes_for(path: Path, chosen: Sequence[str] = ()) -> list[str]:
    """The names of the runtimes that a file is timed on.

    Args:
        path: A model file.
        chosen: Names to choose from; without them it is the usual runtime of its ending, ours before those of other
            packages.

    Returns:
        Those of `chosen` that run files of its ending, or the usual one; empty if none does.
    """
    names = chosen or sorted(registry.choices("runtimes"), key=lambda name: bool(registry.origin("runtimes", name)))
    fitting = [name for name in names if path.suffix.lower() in make_runtime(name).suffixes]
    return fitting if chosen else fitting[:1]


__all__ = ["Images", "Runtime", "RuntimeSession", "Shape", "Signature", "make_runtime", "runtimes_for"]
