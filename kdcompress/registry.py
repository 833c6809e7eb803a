"""A room that holds one file per choice is its own registry: listing the folder lists the choices.

Files whose name starts with an underscore are the room's shared parts and no choices. The files of a registry
can be imported without TensorFlow (they import Keras inside the functions that need it), so that names and
values are checked at once.
"""

from __future__ import annotations

import ast
import difflib
import importlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from kdcompress.errors import RecipeError

_ROOT = Path(__file__).parent

# What the command line calls a room -> (folder, file ending, the word for one of its choices)
ROOMS = {
    "recipes": ("config/presets", ".toml", "recipe"),
    "models": ("models", ".py", "model"),
    "methods": ("methods", ".py", "method"),
    "datasets": ("data", ".py", "dataset"),
    "teachers": ("teachers", ".py", "kind of teacher"),
    "formats": ("exporting", ".py", "format"),
    "runtimes": ("benchmarking", ".py", "runtime"),
}
# Rooms whose names are written with dashes, which the names of modules cannot have
_DASHED = ("formats", "datasets")


def choices(room: str) -> list[str]:
    """The names to choose from in `room`, sorted."""
    folder, ending, _ = ROOMS[room]
    stems = sorted(p.stem for p in (_ROOT / folder).glob(f"*{ending}") if not p.stem.startswith("_"))
    return [stem.replace("_", "-") for stem in stems] if room in _DASHED else stems


def describe(room: str, name: str) -> str:
    """The first line of what the file of a choice says about itself."""
    folder, ending, _ = ROOMS[room]
    text = (_ROOT / folder / f"{_stem(room, name)}{ending}").read_text(encoding="utf-8")
    if ending == ".toml":
        return text.splitlines()[0].lstrip("# ").strip()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def check(room: str, name: str) -> str:
    """Return `name` if it is a choice of `room`; raise RecipeError with the choices if not."""
    names = choices(room)
    if name not in names:
        raise RecipeError(f"unknown {ROOMS[room][2]} {name!r}{suggestion(name, names)}; choices: {', '.join(names)}")
    return name


def load(room: str, name: str) -> ModuleType:
    """Import the module of a choice; RecipeError with the choices if there is none."""
    return importlib.import_module(f"kdcompress.{ROOMS[room][0]}.{_stem(room, check(room, name))}")


def suggestion(name: str, names: Iterable[str]) -> str:
    """`, did you mean 'x'?` when a known name is close to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _stem(room: str, name: str) -> str:
    return name.replace("-", "_") if room in _DASHED else name
