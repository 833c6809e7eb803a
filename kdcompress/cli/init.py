"""`kdcompress init`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdcompress.errors import UsageError


def init(
    out: Path = typer.Option(Path("recipe.toml"), help="The file to write; an existing one is left alone."),
) -> None:
    """Write a commented recipe to start from."""
    from kdcompress.config.reading import PRESETS
    from kdcompress.files import write_text

    if out.exists():
        raise UsageError(f"{out} exists already; choose another --out")
    if out.is_dir() or not out.name.endswith(".toml"):
        raise UsageError(f"--out must be a .toml file, got {out}")
    write_text(out, (PRESETS / "_init.toml").read_text(encoding="utf-8"))
    print(f"{out} written; edit it, then: kdcompress distill {out}")
