"""The choices of a kind of thing are the files of a place in the package: listing the files lists the choices.

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
from types import ModuleType

from kdcompress.errors import RecipeError

_ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Registry:
    """Where the choices of a kind are, and what one is called in messages.

    Args:
        pattern: A glob below the package; the part of a path that its last star stands for is the choice's name.
        word: What one choice is called.
        dashed: Whether names are written with dashes, which the names of modules cannot have.
        listed: Whether users choose one by its name.
    """

    pattern: str
    word: str
    dashed: bool = False
    listed: bool = True

    def files(self) -> dict[str, Path]:
        """The files of the choices by name, sorted."""
        place = max(number for number, part in enumerate(self.pattern.split("/")) if "*" in part)
        found = {}
        for path in _ROOT.glob(self.pattern):
            stem = path.relative_to(_ROOT).parts[place].partition(".")[0]
            if not stem.startswith("_"):
                found[stem.replace("_", "-") if self.dashed else stem] = path
        return dict(sorted(found.items()))


# What the command line calls them
ROOMS = {
    "recipes": Registry("config/presets/*.toml", "recipe"),
    "models": Registry("models/*.py", "model"),
    "methods": Registry("methods/*.py", "method"),
    "datasets": Registry("data/sources/*.py", "dataset", dashed=True),
    "teachers": Registry("formats/*/teacher.py", "kind of teacher"),
    "formats": Registry("formats/*/writer.py", "format", dashed=True),
    "runtimes": Registry("formats/*/runtimes/*.py", "runtime"),
    "costs": Registry("formats/*/costs.py", "kind of model file", listed=False),
}
LISTED = tuple(room for room, registry in ROOMS.items() if registry.listed)


def choices(room: str) -> list[str]:
    """The names to choose from in `room`, sorted."""
    return list(ROOMS[room].files())


def describe(room: str, name: str) -> str:
    """The first line of what the file of a choice says about itself."""
    path = ROOMS[room].files()[name]
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return text.splitlines()[0].lstrip("# ").strip()
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]


def check(room: str, name: str) -> str:
    """Return `name` if it is a choice of `room`; raise RecipeError with the choices if not."""
    names = choices(room)
    if name not in names:
        raise RecipeError(f"unknown {ROOMS[room].word} {name!r}{suggestion(name, names)}; choices: {', '.join(names)}")
    return name


def load(room: str, name: str) -> ModuleType:
    """Import the module of a choice; RecipeError with the choices if there is none."""
    path = ROOMS[room].files()[check(room, name)]
    return importlib.import_module(".".join(("kdcompress", *path.relative_to(_ROOT).with_suffix("").parts)))


def suggestion(name: str, names: Iterable[str]) -> str:
    """`, did you mean 'x'?` when a known name is close to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
