"""What can be chosen: the files of a place in the package, and what installed packages add by entry points.

Files and folders whose name starts with an underscore are shared parts and no choices. The files of a registry can be
imported without TensorFlow (they import Keras inside the functions that need it), so that names and values are checked
at once.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import plugins
from kdcompress.errors import RecipeError
from kdcompress.plugins import is_reference

_ROOT = Path(__file__).parent
_MAX_SHOWN = 100  # characters of an unknown name in a message


@dataclass(frozen=True)
class Registry:
    """Where the choices of a kind are, and what one is called in messages.

    Args:
        pattern: A glob below the package; the part of a path that its last star stands for is the choice's name.
        word: What one choice is called.
        attribute: The name of the class in the module of a choice; empty for files that are no modules.
        base: `module:Class` that every choice is a subclass of, checked of those of other packages.
        dashed: Whether names are written with dashes, which the names of modules cannot have.
        listed: Whether users choose one by its name.
    """

    pattern: str
    word: str
    attribute: str = ""
    base: str = ""
    dashed: bool = False
    listed: bool = True

    def files(self) -> dict[str, Path]:
        """The files of the built-in choices by name, sorted."""
        star = max(number for number, part in enumerate(self.pattern.split("/")) if "*" in part)
        files = {}
        for path in _ROOT.glob(self.pattern):
            stem = path.relative_to(_ROOT).parts[star].partition(".")[0]
            if not stem.startswith("_"):
                files[stem.replace("_", "-") if self.dashed else stem] = path
        return dict(sorted(files.items()))


# What the command line calls them; packages add to those with a base by the entry points kdcompress.ROOM
REGISTRIES = {
    "recipes": Registry("config/presets/*.toml", "recipe"),
    "models": Registry("models/*.py", "model", "MODEL", "kdcompress.models:Architecture"),
    "methods": Registry("methods/*.py", "method", "METHOD", "kdcompress.methods:Method"),
    "datasets": Registry("data/sources/*.py", "dataset", "DATASET", "kdcompress.data.base:DatasetSource", dashed=True),
    "teachers": Registry("formats/*/teacher.py", "kind of teacher", "TEACHER", "kdcompress.teachers:Teacher"),
    "formats": Registry("formats/*/writer.py", "format", "FORMAT", "kdcompress.exporting:Format", dashed=True),
    "runtimes": Registry("formats/*/runtimes/*.py", "runtime", "RUNTIME", "kdcompress.benchmarking:Runtime"),
    "observers": Registry("observers/*.py", "observer", "OBSERVER", "kdcompress.observers:Observer"),
    "costs": Registry(
        "formats/*/costs.py", "kind of model file", "COSTS", "kdcompress.verification.costs:FileCosts", listed=False
    ),
}
LISTED = tuple(room for room, registry in REGISTRIES.items() if registry.listed)


def choices(room: str) -> list[str]:
    """The names to choose from in `room`, sorted: built in, or of an installed package."""
    return sorted({*REGISTRIES[room].files(), *_added(room)})


def describe(room: str, name: str) -> str:
    """The first line of what a choice says about itself; nothing is imported for it."""
    path = REGISTRIES[room].files().get(name)
    if path is None:
        return plugins.describe(_added(room)[name])
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return text.splitlines()[0].lstrip("# ").strip()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def origin(room: str, name: str) -> str:
    """The package and version that a choice comes from, empty for what is built in."""
    return "" if name in REGISTRIES[room].files() else plugins.origin(_added(room)[name])


def check(room: str, name: str) -> str:
    """Return `name` if it is a choice of `room`, or has the form package.module:Class where other code is allowed.

    Raises:
        RecipeError: With the choices.
    """
    names = choices(room)
    if name not in names and not (REGISTRIES[room].base and is_reference(name)):
        unknown = f"unknown {REGISTRIES[room].word} {name[:_MAX_SHOWN]!r}{did_you_mean(name, names)}"
        raise RecipeError(f"{unknown}; choices: {', '.join(names)}")
    return name


def load(room: str, name: str) -> Any:
    """Import the class of a choice: built in, of an installed package, or by its reference package.module:Class.

    Raises:
        RecipeError: There is none of that name, it cannot be imported, or it is no subclass of the room's base.
    """
    registry = REGISTRIES[room]
    path = registry.files().get(check(room, name))
    if path is not None:
        module = importlib.import_module(".".join(("kdcompress", *path.relative_to(_ROOT).with_suffix("").parts)))
        return getattr(module, registry.attribute)
    shown = f"{registry.word} {name}"
    if name in _added(room):
        found = plugins.load_entry_point(_added(room)[name], shown)
    else:
        found = plugins.load_reference(name, shown)
    module_name, _, base_name = registry.base.partition(":")
    base = getattr(importlib.import_module(module_name), base_name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise RecipeError(f"{shown} is no subclass of {base.__module__}.{base_name}, as each {registry.word} must be")
    return found


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` (did you mean 'x'?)` when a known name is close to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _added(room: str) -> plugins.EntryPoints:
    return plugins.entry_points(f"kdcompress.{room}") if REGISTRIES[room].base else {}
