"""Names and classes of what can be chosen: files of the package, and entry points of installed packages.

Registered modules import Keras inside the functions that need it, so that names and settings can be checked without
loading TensorFlow.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress import plugins
from kdcompress.errors import RecipeError
from kdcompress.missing import is_installed
from kdcompress.plugins import is_reference
from kdcompress.registries import REGISTRIES, ROOT

_MAX_SHOWN = 100  # characters of an unknown name in a message


def choices(registry: str) -> list[str]:
    """List the names of a registry.

    Args:
        registry: Name of the registry.

    Returns:
        Names of built-in entries and of those of installed packages, sorted.
    """
    return sorted({*REGISTRIES[registry].files(), *_added(registry)})


def built_in(registry: str) -> dict[str, str]:
    """List the built-in entries of a registry whose classes are in modules.

    Args:
        registry: Name of the registry.

    Returns:
        Module by name, sorted.
    """
    return {name: _module_name(path) for name, path in REGISTRIES[registry].files().items()}


def family_choices(registry: str) -> list[str]:
    """List the names of the entries in families.

    Args:
        registry: Name of the registry.

    Returns:
        Names PREFIX:NAME, family by family.
    """
    families = _families(registry)
    return [f"{prefix}:{name}" for prefix in families for name in _load_family(families[prefix]).names()]


def contains(registry: str, name: Any) -> bool:
    """Return whether an entry exists.

    Args:
        registry: Name of the registry.
        name: Name of an entry, also in a family.
    """
    if not isinstance(name, str):
        return False
    family = _family_of(registry, name)
    return bool(family.has(name.partition(":")[2])) if family else name in choices(registry)


def describe(registry: str, name: str) -> str:
    """Read the first line of the description of an entry without importing it.

    Args:
        registry: Name of the registry.
        name: Name of the entry.

    Returns:
        The first line of its docstring, or of the comment at the top of a recipe.
    """
    if family := _family_of(registry, name):
        return str(family.describe(name.partition(":")[2]))
    path = REGISTRIES[registry].files().get(name)
    if path is None:
        return plugins.describe(_added(registry)[name])
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return text.splitlines()[0].lstrip("# ").strip()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def origin(registry: str, name: str) -> str:
    """Look up the package of an entry.

    Args:
        registry: Name of the registry.
        name: Name of the entry.

    Returns:
        Name and version of the package; empty for built-in entries.
    """
    built_in = name in REGISTRIES[registry].files() or _family_of(registry, name) is not None
    return "" if built_in else plugins.origin(_added(registry)[name])


def missing(registry: str, name: str) -> str | None:
    """Find a package that an entry needs and that is not installed, without importing any.

    Args:
        registry: Name of the registry.
        name: Name of the entry.

    Returns:
        The name to import it by; None if there is none. What an entry of another package needs came with that.
    """
    kind, needed = REGISTRIES[registry], []
    if kind.named_module and name in kind.files():
        needed.append(load(registry, name).module)
    return next((module for module in (*needed, kind.needs) if module and not is_installed(module)), None)


def check(registry: str, name: str) -> str:
    """Check that an entry exists, or that the name has the form package.module:Class where that is allowed.

    Args:
        registry: Name of the registry.
        name: Name of the entry.

    Returns:
        The name.

    Raises:
        RecipeError: The name is unknown; lists the choices.
    """
    names = choices(registry)
    if contains(registry, name) or (REGISTRIES[registry].base and is_reference(name)):
        return name
    hint = did_you_mean(name, [*names, *family_choices(registry)])
    raise RecipeError(f"unknown {REGISTRIES[registry].word} {name[:_MAX_SHOWN]!r}{hint}; choices: {', '.join(names)}")


def load(registry: str, name: str) -> Any:
    """Import the class of an entry.

    Args:
        registry: Name of the registry.
        name: Name of a built-in entry or of one of an installed package, or package.module:Class.

    Returns:
        The class.

    Raises:
        RecipeError: The name is unknown, the class cannot be imported, or it is not a subclass of the base class.
    """
    kind = REGISTRIES[registry]
    path = kind.files().get(check(registry, name))
    if path is not None:
        return getattr(_import_file(path), kind.attribute)
    if family := _family_of(registry, name):
        return family.load(name.partition(":")[2])
    description = f"{kind.word} {name[:_MAX_SHOWN]}"
    if name in _added(registry):
        cls = plugins.load_entry_point(_added(registry)[name], description)
    else:
        cls = plugins.load_reference(name, description)
    module_name, _, base_name = kind.base.partition(":")
    base = getattr(importlib.import_module(module_name), base_name)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise RecipeError(f"{description} is no subclass of {base.__module__}.{base_name}, as each {kind.word} must be")
    return cls


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Make the hint ` (did you mean 'x'?)` for an unknown name.

    Args:
        name: The unknown name.
        names: Known names.

    Returns:
        The hint; empty if no known name is similar.
    """
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _import_file(path: Path) -> Any:
    return importlib.import_module(_module_name(path))


def _module_name(path: Path) -> str:
    return ".".join(("kdcompress", *path.relative_to(ROOT).with_suffix("").parts))


def _families(registry: str) -> dict[str, Path]:
    """The modules of families by prefix."""
    pattern = REGISTRIES[registry].families
    return {path.stem: path for path in sorted(ROOT.glob(pattern)) if path.stem[0] != "_"} if pattern else {}


def _load_family(path: Path) -> Any:
    return _import_file(path).FAMILY


def _family_of(registry: str, name: str) -> Any:
    """The family of an entry; None for an entry of no family."""
    prefix, colon, _ = name.partition(":")
    path = _families(registry).get(prefix) if colon else None
    return path and _load_family(path)


def _added(registry: str) -> plugins.EntryPoints:
    return plugins.entry_points(f"kdcompress.{registry}") if REGISTRIES[registry].base else {}
