"""`kdcompress list`."""

from __future__ import annotations

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
    for kind in [what] if what else list(LISTED):
        if what is None:
            print(f"{kind}:")
        names = [*registry.choices(kind), *registry.family_choices(kind)]
        width = max(14, *map(len, names))
        for name in names:
            origin = registry.origin(kind, name)
            missing = registry.missing(kind, name)
            notes = "; ".join(filter(None, (origin, f"needs {remedy_for(missing)}" if missing else "")))
            print(f"  {name:<{width}} {registry.describe(kind, name)}{f'  ({notes})' if notes else ''}")
