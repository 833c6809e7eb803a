"""`kdcompress cache`."""

from __future__ import annotations

import typer

from kdcompress.cli._printable import printable


def cache(
    clear: bool = typer.Option(False, "--clear", help="Delete it all but your own data and what a run is making now."),
) -> None:
    """Show what lies in the cache (data, zoo teachers we trained, teacher outputs, exported teachers) and its size."""
    from kdcompress import cache as cache_module

    if clear:
        print(f"freed {cache_module.clear_cache() / 1e6:.1f} MB")
        return
    rows = cache_module.list_entries()
    for kind, name, size in rows:
        print(f"{kind:<9} {printable(name[:12]):<12} {size / 1e6:10.1f} MB")
    total = sum(size for *_, size in rows)
    print(f"{printable(str(cache_module.cache_dir()))}: {total / 1e6:.1f} MB in {len(rows)} entries")
