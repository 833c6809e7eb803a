"""Kinds of hostile files: a function that makes one, what it abuses, and the commands that open it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trust.commands import COMMANDS
from trust.place import Place

Make = Callable[[Place], None]


@dataclass(frozen=True)
class Kind:
    """One kind of hostile file; `make` puts it at `at`, below the current folder.

    `commands` open it, the most telling first. `refused` are those that must not succeed, `sound` says that it is no
    attack but a control: every command must succeed. `fuse` is how the payload goes off where nobody guards: a function
    of fuses.py. `fresh` commands run in a process of their own, as from a shell, where imports are the point.
    """

    name: str
    abuses: str
    family: str
    at: str
    commands: tuple[str, ...]
    make: Make
    refused: frozenset[str] = frozenset()
    sound: bool = False
    fuse: str | None = None
    fresh: bool = False


KINDS: dict[str, Kind] = {}


def kind(
    name: str,
    abuses: str,
    *,
    at: str,
    commands: tuple[str, ...],
    refused: tuple[str, ...] = (),
    sound: bool = False,
    fuse: str | None = None,
    fresh: bool = False,
) -> Callable[[Make], Make]:
    """Register a function as the maker of a kind."""

    def register(make: Make) -> Make:
        if name in KINDS or unknown(commands, refused):
            raise ValueError(
                f"kind {name} is there twice, or names commands that are not: {unknown(commands, refused)}"
            )
        family = make.__module__.rpartition(".")[2]
        KINDS[name] = Kind(name, abuses, family, at, commands, make, frozenset(refused), sound, fuse, fresh)
        return make

    return register


def unknown(*named: tuple[str, ...]) -> list[str]:
    """Which of these commands there are not."""
    return [one for names in named for one in names if one not in COMMANDS]


def all_kinds() -> dict[str, Kind]:
    """Every kind of every family, by its name."""
    import trust.hostile

    for module in pkgutil.iter_modules(trust.hostile.__path__):
        importlib.import_module(f"trust.hostile.{module.name}")
    return KINDS


def build(name: str, root: str) -> None:
    """Make the file of a kind in the place at `root`; called in a process of its own."""
    all_kinds()[name].make(Place(Path(root)))
