"""`kdcompress bundle`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._terminal import TRUST, log_of, working
from kdcompress.formatting import size


def bundle(
    source: Path = typer.Argument(..., metavar="RUN", help="A run with exports, or RUN:NAME of another student."),
    out: Path = typer.Option(
        None, metavar="NAME.pyz", help="The file to write; NAME is what the machine is called. [default: RUN's name]"
    ),
    precisions: list[str] = typer.Option(
        ["fp32", "int8"], "--precision", help="The exports to take, or all; repeatable."
    ),
    images: int = typer.Option(64, help="How many test images go with them."),
    teacher: bool = typer.Option(True, "--teacher/--no-teacher", help="Whether the teacher goes with them."),
    runtime: list[str] = typer.Option([], help="Only the files of this runtime; repeatable."),
    data_dir: str = typer.Option(None, metavar="DIR|URL", help="Where the run's data lies now, if it was moved."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Make one file that benchmarks the run on another machine, which needs Python 3.9, NumPy and a runtime alone.

    Copy it there and run it: it checks that every file computes on that CPU what it computes here, times student and
    teacher in turns as `bench` does, prints the table, and writes NAME.json, which `kdcompress bench RUN --import`
    puts beside the other machines. Nothing is installed; files whose runtime is missing there are named.

    \b
    kdcompress bundle runs/demo --out pi.pyz
    scp pi.pyz pi@raspberrypi.local: && ssh pi@raspberrypi.local python3 pi.pyz
    kdcompress bench runs/demo --import pi.json
    """
    from kdcompress import api

    with working(log_of(source)) as terminal:
        result = api.bundle(
            source,
            out=out,
            precisions=precisions,
            images=images,
            teacher=teacher,
            runtimes=runtime,
            data_dir=data_dir,
            trust_code=trust_code,
            progress=terminal.progress,
        )
        if as_json:
            terminal.json(result)
        else:
            contents = f"{result['images']} test images; {_describe(result['files'])}"
            terminal.result(f"{result['bundle']}  {size(result['bytes'])}, {contents}")
            terminal.progress.note(f"run it on the machine: python3 {Path(result['bundle']).name}")
        for skipped in result["skipped"]:
            terminal.progress.note(f"not in it: {skipped}")


def _describe(files: Sequence[Mapping[str, Any]]) -> str:
    """The models of each kind of file, such as "onnx: teacher fp32, student int8"."""
    kinds: dict[str, list[str]] = {}
    for file in files:
        model = f"{file['name']} {file['precision'] or ''}".strip()
        kinds.setdefault(Path(file["path"]).suffix.lstrip("."), []).append(model)
    return "; ".join(f"{kind}: {', '.join(models)}" for kind, models in kinds.items())
