"""Choices from other packages: entry points of those that are installed, and references package.module:Class."""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeAlias

from kdcompress.errors import RecipeError, one_line

EntryPoints: TypeAlias = Mapping[str, EntryPoint]


@functools.cache
def entry_points(group: str) -> EntryPoints:
    """The entry points of a group by name, of all installed packages.

    Raises:
        RecipeError: Two packages use one name.
    """
    from importlib import metadata

    found: dict[str, EntryPoint] = {}
    for point in metadata.entry_points(group=group):
        known = found.setdefault(point.name, point)
        if known.value != point.value:
            raise RecipeError(
                f"two installed packages offer {group} {point.name!r}: {origin(known)} and {origin(point)}; "
                "uninstall one of them"
            )
    return found


def origin(point: EntryPoint) -> str:
    """The name and version of the package that an entry point belongs to."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"


def describe(point: EntryPoint) -> str:
    """The first line of the docstring of an entry point's class, read from its source without importing it."""
    module, _, name = point.value.partition(":")
    try:
        tree = ast.parse(_source(point, module.strip()).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ""
    node = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name.strip()), None)
    return (ast.get_docstring(node or tree) or "").split("\n")[0]


def load_entry_point(point: EntryPoint, what: str) -> Any:
    """What an entry point names.

    Raises:
        RecipeError: It cannot be imported.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as exc:
        raise RecipeError(f"{what}, of {origin(point)} ({point.value}), cannot be imported: {one_line(exc)}") from exc


def is_reference(text: str) -> bool:
    """Whether `text` has the form package.module:Class."""
    module, colon, name = text.partition(":")
    return bool(colon) and name.isidentifier() and all(part.isidentifier() for part in module.split("."))


def load_reference(reference: str, what: str) -> Any:
    """What package.module:Class names, looked for in the current folder first, as `python` does.

    Raises:
        RecipeError: There is no such module, importing it fails, or it has no such class.
    """
    module_name, _, name = reference.partition(":")
    with current_folder_first():
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as exc:
            raise RecipeError(f"{what}: importing {module_name} fails: {one_line(exc)}") from exc
    if not hasattr(module, name):
        raise RecipeError(f"{what}: module {module_name} has no {name!r}")
    return getattr(module, name)


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Look for modules in the current folder first, as `python` does, while the user's own code is imported.

    Afterwards it stands last: what lies there by chance must not take the place of a package that is imported later.
    """
    here = ""
    sys.path[:] = [here, *(entry for entry in sys.path if entry != here)]
    try:
        yield
    finally:
        sys.path[:] = [*(entry for entry in sys.path if entry != here), here]


def _source(point: EntryPoint, module: str) -> Path:
    """The file of a module of the package, or where it is installed from."""
    spec_path = module.replace(".", "/")
    roots = [Path(entry or ".") for entry in sys.path]
    if point.dist is not None:
        roots.insert(0, Path(str(point.dist.locate_file(""))))
    candidates = (root / f"{spec_path}{ending}" for root in roots for ending in (".py", "/__init__.py"))
    return next((path for path in candidates if path.is_file()), Path(f"{spec_path}.py"))
