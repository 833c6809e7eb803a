"""`kdcompress data`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdcompress.cli._terminal import Terminal, working

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Get and check data sets.")

_NAME = typer.Argument(..., help="The data set (`kdcompress list datasets`).")


@app.command("get")
def get(name: str = _NAME) -> None:
    """Download a data set into the cache, checked against its published SHA-256."""
    from kdcompress.data import make_source

    source = make_source({"name": name})
    with working() as terminal:
        folder = source.download(terminal)
        terminal.result(f"{name} is in {folder}")


@app.command("check")
def check(
    name: str = _NAME,
    data_dir: Path = typer.Option(None, help="The data set's own folder; nothing else is searched then."),
) -> None:
    """Read a data set whole and say what is in it, or what is wrong with it."""
    from kdcompress.data import make_source

    source = make_source({"name": name, **({"dir": str(data_dir)} if data_dir else {})})
    with working() as terminal:
        dataset = source.load(terminal)
        _say(terminal, dataset.notice)
        for line in source.summary(dataset):
            terminal.result(line)


def _say(terminal: Terminal, notice: str | None) -> None:
    if notice:
        terminal.warn(notice)
