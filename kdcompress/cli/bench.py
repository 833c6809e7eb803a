"""`kdcompress bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._terminal import TRUST, Terminal, log_of, parse_shape, working


def bench(
    sources: list[Path] = typer.Argument(
        ..., metavar="RUN|MODEL...", help="A run folder (teacher and exports), or .onnx and .tflite files."
    ),
    threads: str = typer.Option(None, metavar="N,..", help="Threads, `all` for one a core. [default: 1,all]"),
    batch_size: str = typer.Option("1", metavar="N,..", help="Images a call."),
    duration: float = typer.Option(
        1.0, metavar="SECONDS", help="How long each model is timed; MLPerf Tiny asks for 10."
    ),
    max_slowdown: float = typer.Option(
        None, metavar="R", help="Gate: student time / teacher time; fails if the interval lies above."
    ),
    input_shape: str = typer.Option(None, metavar="H,W,C", help="For files that take images of any size."),
    end_to_end: Path = typer.Option(
        None, metavar="FOLDER", help="Also time from image file to answer, with the images in this folder."
    ),
    runtime: list[str] = typer.Option(
        [], help="Time every file on this runtime (`kdcompress list runtimes`, or package.module:Class); repeatable."
    ),
    on: str = typer.Option(
        None, metavar="ssh://[USER@]HOST[:PORT]", help="Time the run's exports on this device, through ssh."
    ),
    setup: bool = typer.Option(False, "--setup", help="Make an environment with NumPy and the runtimes there first."),
    keep: bool = typer.Option(False, "--keep", help="Leave the bundle and that environment there for the next time."),
    import_file: Path = typer.Option(
        None, "--import", metavar="NAME.json", help="Measure nothing: keep what a bundle measured on machine NAME."
    ),
    machine: str = typer.Option(None, metavar="NAME", help="The machine's name. [default: that of the file, or HOST]"),
    forget: str = typer.Option(None, metavar="NAME", help="Measure nothing: drop what machine NAME measured."),
    data_dir: str = typer.Option(None, metavar="DIR|URL", help="Where the run's data lies now, if it was moved."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Time the student against its teacher: the same runtime, threads, batch and images, turn by turn.

    Models take turns in short blocks, so that a drift of the machine meets all of them; every call counts. A speedup is
    teacher time / student time and has a 95 % interval; where that covers 1, the two cannot be told apart. Loading, the
    first inference and the peak of memory are measured in a process of each model's own. Of a run: its teacher (fp32)
    and all its exports, on test images. Of files: all against the first, on random images. Exit code 3 if the gate
    fails. Ctrl-C shows what was finished. Other machines are measured with --on, or `kdcompress bundle`, and shown
    beside this one.

    \b
    kdcompress bench runs/demo
    kdcompress bench runs/demo --threads 1,4 --batch-size 1,32 --duration 10 --max-slowdown 0.5
    kdcompress bench big.onnx small.onnx small.tflite --input-shape 224,224,3
    kdcompress bench runs/demo --on ssh://pi@raspberrypi.local --setup
    kdcompress bench runs/demo --import pi.json
    kdcompress bench small.onnx --runtime onnxruntime --runtime your_package.runtimes:Yours
    """
    from kdcompress import api

    if forget is not None:
        _forget(sources, forget, as_json)
        return
    from kdcompress.benchmarking._request import parse_counts

    shape, sizes = parse_shape(input_shape), parse_counts("--batch-size", batch_size)
    with working(log_of(sources[0]) if len(sources) == 1 else None) as terminal:
        result = api.bench(
            *sources,
            threads=parse_counts("--threads", threads) if threads is not None else None,
            batch_sizes=sizes,
            duration=duration,
            max_slowdown=max_slowdown,
            input_shape=shape,
            end_to_end=end_to_end,
            runtimes=runtime,
            on=on,
            setup=setup,
            keep=keep,
            import_file=import_file,
            machine=machine,
            data_dir=data_dir,
            trust_code=trust_code,
            progress=terminal.progress,
        )
        if as_json:
            terminal.json(result)
        else:
            _print_result(result, terminal)
        _print_messages(result, terminal)
    if result["interrupted"]:
        raise typer.Exit(130)
    if not result["passed"]:
        raise typer.Exit(3)


def _forget(sources: list[Path], machine: str, as_json: bool) -> None:
    from kdcompress import api

    with working() as terminal:
        result = api.bench(*sources, forget=machine)
        if as_json:
            terminal.json(result)
        else:
            terminal.result(f"machine {machine} is forgotten; left: {', '.join(result['machines']) or 'none'}")


def _print_result(result: dict[str, Any], terminal: Terminal) -> None:
    from kdcompress.benchmarking._table import result_lines
    from kdcompress.cli._machines import show_machines
    from kdcompress.verification.machines import machine_rows

    for line in result_lines(result):
        terminal.result(line)
    show_machines(machine_rows(None, result["machines"]), terminal)


def _print_messages(result: dict[str, Any], terminal: Terminal) -> None:
    from kdcompress.benchmarking._table import failed_gate

    for skipped in result["skipped"]:
        # Without its teacher a student has no speedup, which is what most come for
        emit = terminal.progress.warn if skipped.endswith("have no speedup") else terminal.progress.note
        emit(f"not timed: {skipped}")
    for warning in result["warnings"]:
        terminal.progress.warn(warning)
    for gate in result["gates"]:
        if not gate["passed"]:
            terminal.failure(failed_gate(gate))
    for entry in result["parity"]:
        if not entry["passed"]:
            terminal.failure(f"parity of {entry['path']} fails on that machine: {'; '.join(entry['reasons'])}")
    if result["interrupted"]:
        terminal.failure("interrupted; this is what was finished, the same command starts anew")
