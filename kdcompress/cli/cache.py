"""`kdcompress cache`."""

from __future__ import annotations

import typer

from kdcompress.cli._printable import printable


def cache(
    clear: bool = typer.Option(False, "--clear", help="Delete it all but your own data and what a run is making now."),
) -> None:
    """Show what lies in the cache (data, zoo teachers we trained, teacher outputs, exported teachers) and its size."""
    from kdcompress import cache as kept

    if clear:
        print(f"freed {kept.clear_cache() / 1e6:.1f} MB")
        return
    rows = kept.list_entries()
    for kind, name, size in rows:
        print(f"{kind:<9} {printable(name[:12]):<12} {size / 1e6:10.1f} MB")
    print(f"{printable(str(kept.cache_dir()))}: {sum(size for *_, size in rows) / 1e6:.1f} MB in {len(rows)} entries")
