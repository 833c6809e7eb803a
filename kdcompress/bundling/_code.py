"""The part of kdcompress that runs on a device, found by following its imports."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

_PACKAGE = "kdcompress"
_ROOTS = ("kdcompress.device.runner", "kdcompress.benchmarking._fresh")
START = Path(__file__).parents[1] / "device" / "start.py"


def device_modules(runtimes: list[str]) -> dict[str, Path]:
    """Find the modules that a bundle needs.

    Only imports at the top of modules are followed: what a function imports is what a device does not do, or what it
    may do without.

    Args:
        runtimes: Modules of the runtimes, which the registry imports by their files.

    Returns:
        File by module name, with the packages that the modules are in.
    """
    found: dict[str, Path] = {}
    waiting = [*_ROOTS, *runtimes]
    while waiting:
        name = waiting.pop()
        if name in found or (path := _file_of(name)) is None:
            continue
        found[name] = path
        waiting += [*_parents(name), *_imports(path)]
    return dict(sorted(found.items()))


def _file_of(name: str) -> Path | None:
    """File of a module; None for a name that is no module, such as one of a class."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imports(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == _PACKAGE)
