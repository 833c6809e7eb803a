"""`kdcompress data`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdcompress.cli._printable import warn_names_not_utf8
from kdcompress.cli._terminal import Terminal, working

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Get, check and make data sets.")

_NAME = typer.Argument(..., help="The data set (`kdcompress list datasets`).")


@app.command("get")
def get(name: str = _NAME) -> None:
    """Download a data set into the cache, checked against its published SHA-256."""
    from kdcompress.data import make_source

    source = make_source({"name": name})
    with working() as terminal:
        folder = source.download(terminal.progress)
        terminal.result(f"{name} is in {folder}")


@app.command("check")
def check(
    source: str = typer.Argument(
        ..., metavar="NAME|RECIPE", help="A data set, or a recipe: its [data], [superclasses]."
    ),
    data_dir: str = typer.Option(
        None, metavar="DIR|URL", help="The data set's own folder; nothing else is searched then."
    ),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
    ids: Path = typer.Option(None, help="Write the id, part and label of every image to this CSV file."),
) -> None:
    """Read a data set whole and say what is in it, or what is wrong with it.

    \b
    kdcompress data check mnist
    kdcompress data check folder --data-dir photos/ --set data.size=96
    kdcompress data check my-recipe.toml --ids ids.csv
    """
    from kdcompress.config.data_settings import resolve_data_settings
    from kdcompress.config.toml_values import parse_setting
    from kdcompress.data import class_lines, make_source, merge_classes, write_ids
    from kdcompress.metrics.chance import imbalance

    overrides = {"data.dir": str(data_dir)} if data_dir else {}
    resolved = resolve_data_settings(source, {**overrides, **dict(parse_setting(text) for text in settings)})
    loader = make_source(resolved.data)
    with working() as terminal:
        loaded = loader.load(terminal.progress)
        dataset = merge_classes(loaded, resolved.superclasses)
        _warn(terminal, dataset.notice)
        merged = class_lines("merged into", dataset) if resolved.superclasses else []
        for line in (*loader.summary(loaded), *merged):
            terminal.result(line)
        _warn(terminal, imbalance(dataset.train.labels, list(dataset.classes)))
        if ids is not None:
            write_ids(ids, dataset)
            names = (name for part in dataset.parts.values() for name in part.ids.tolist())
            warn_names_not_utf8(names, ids, terminal.progress)
            terminal.progress.note(
                f"ids of {sum(len(part) for part in dataset.parts.values()):,} images written to {ids}"
            )


@app.command("make-synthetic")
def make_synthetic(
    name: str = typer.Argument(..., help="The data set to make a stand-in for: mhist."),
    out: Path = typer.Option(..., help="The folder to make; an existing one must be empty."),
    count: int = typer.Option(None, help="How many images; by default as many as the published set has."),
    size: int = typer.Option(None, metavar="PX", help="Width and height of an image; by default the published ones."),
    seed: int = typer.Option(0, help="Other seeds give other images; the same arguments give the same bytes."),
) -> None:
    """Draw synthetic images in a data set's own layout, to try things out without the real ones.

    \b
    kdcompress data make-synthetic mhist --out synthetic/ --count 400 --size 96
    kdcompress data check mhist --data-dir synthetic/
    """
    from kdcompress.data.synthetic._base import make_synthetic

    with working() as terminal:
        images = make_synthetic(name, out, terminal.progress, count=count, size=size, seed=seed)
        terminal.progress.note(
            f"these are drawings and no tissue; look at them: kdcompress data check {name} --data-dir {out}"
        )
        terminal.result(f"{images.count:,} synthetic images of {images.size}x{images.size} for {name} are in {out}")


def _warn(terminal: Terminal, notice: str | None) -> None:
    if notice:
        terminal.progress.warn(notice)
