"""Benchmarks of model files on the runtimes in `formats/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdcompress import registry
from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature


def make_runtime(name: str) -> Runtime:
    """Create a runtime by its name.

    Args:
        name: Name such as "onnxruntime", or package.module:Class.

    Returns:
        The runtime.

    Raises:
        RecipeError: There is no such runtime; the message lists the choices.
    """
    runtime: Runtime = registry.load("runtimes", name)()
    return runtime


def runtimes_for(path: Path, chosen: Sequence[str] = ()) -> list[str]:
    """Select the runtimes on which a file is timed.

    Args:
        path: Model file.
        chosen: Names to select from; by default the first runtime for the file's suffix, with built-in runtimes before
            those of other packages.

    Returns:
        Names of the chosen runtimes that run files with this suffix, or of the default; empty if there is none.
    """
    names = chosen or sorted(registry.choices("runtimes"), key=lambda name: bool(registry.origin("runtimes", name)))
    matching = [name for name in names if path.suffix.lower() in make_runtime(name).suffixes]
    return matching if chosen else matching[:1]


__all__ = ["Images", "Runtime", "RuntimeSession", "Shape", "Signature", "make_runtime", "runtimes_for"]
