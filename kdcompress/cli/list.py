"""`kdcompress list`."""

from __future__ import annotations

from collections.abc import Mapping

import typer

from kdcompress import registry
from kdcompress.errors import UsageError
from kdcompress.missing import remedy_for
from kdcompress.registries import LISTED


def list_choices(
    what: str = typer.Argument(None, help=f"One of {', '.join(LISTED)}. [default: all of them]"),
) -> None:
    """Show what there is to choose from."""
    if what is not None and what not in LISTED:
        close = registry.did_you_mean(what, LISTED)
        raise UsageError(f"cannot list {what!r}{close}; choices: {', '.join(LISTED)}")
    if what is not None:
        _print_choices(what, _lacking(what))
        return
    for kind in LISTED:
        lacking = _lacking(kind)
        first, *others = set(lacking.values())
        if first is not None and not others:  # said once, not on each of many lines
            print(f"{kind}:  (all need {remedy_for(first)})")
            lacking = dict.fromkeys(lacking)
        else:
            print(f"{kind}:")
        _print_choices(kind, lacking)


def _lacking(kind: str) -> dict[str, str | None]:
    """The package that each choice lacks, by name."""
    names = [*registry.choices(kind), *registry.family_choices(kind)]
    return {name: registry.missing(kind, name) for name in names}


def _print_choices(kind: str, lacking: Mapping[str, str | None]) -> None:
    """Print names with what they are, and the package that each lacks."""
    width = max(14, *map(len, lacking))
    for name, missing in lacking.items():
        notes = "; ".join(
            filter(None, (registry.origin(kind, name), f"needs {remedy_for(missing)}" if missing else ""))
        )
        print(f"  {name:<{width}} {registry.describe(kind, name)}{f'  ({notes})' if notes else ''}")
