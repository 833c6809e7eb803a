"""`kdcompress report`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdcompress.cli._terminal import working


def report(
    runs: list[Path] = typer.Argument(
        ..., metavar="RUN|SWEEP [RUN...]", help="A run or a sweep; several runs are compared."
    ),
    out: Path = typer.Option(
        None, help="The folder to write into. [default: the run; of several runs, the current folder]"
    ),
    as_json: bool = typer.Option(False, "--json", help="What the report says, as one JSON document on stdout."),
) -> None:
    """Put what a run holds on one page, and write its model card.

    The page, report.html, is one file that loads nothing: it opens from disk, on a phone, in print, in light and dark.
    It works at any stage of a run and says which command brings what is not there yet; neither the data nor the teacher
    is opened. MODEL_CARD.md leaves the intended use to you, and keeps what you wrote there. With --out the run itself
    is not touched, so that one still training can be looked at.

    \b
    kdcompress report runs/demo
    kdcompress report runs/a runs/b --out comparison/
    kdcompress report sweeps/mnist-1234abcd
    """
    from kdcompress import api

    with working() as terminal:
        result = api.report(*runs, out=out, progress=terminal.progress)
        if as_json:
            terminal.json(result)
        else:
            for name in ("model_card", "report"):
                if name in result:
                    terminal.result(result[name])
