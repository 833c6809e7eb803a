"""Benchmark of a bundle on the device that it was copied to."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._bench import measure
from kdcompress.benchmarking._request import DURATION_S, make_bench_request, parse_counts
from kdcompress.benchmarking._table import failed_gate, result_lines
from kdcompress.device.console import Console
from kdcompress.device.contents import read_contents
from kdcompress.device.lineup import Device, line_up
from kdcompress.device.parity import compare, outputs_of
from kdcompress.errors import KDCompressError, UsageError

FAILED, WRONG_USAGE, NOT_PASSED, INTERRUPTED = 1, 2, 3, 130


def run(arguments: Sequence[str], archive: str, folder: str) -> int:
    """Check and time the files of a bundle, print the table, and write the result.

    Args:
        arguments: Command-line arguments.
        archive: Path of the bundle, which names the result.
        folder: Folder that it was unpacked to.

    Returns:
        The exit code: 0; 1 if nothing could be measured; 2 for wrong usage; 3 if parity or a gate failed.
    """
    options = _parser(archive).parse_args(arguments)
    console, out = Console(), Path(options.out)
    try:
        _try_to_write(out)  # before anything is measured for it
    except OSError as exc:
        return _fail(_unwritable(out, exc), FAILED)
    try:
        result = _benchmark(options, Path(folder), console)
    except UsageError as exc:
        return _fail(exc, WRONG_USAGE)
    except KDCompressError as exc:
        return _fail(exc, FAILED)
    except KeyboardInterrupt:
        return _fail("interrupted before anything was measured", INTERRUPTED)
    lines = [*_parity_lines(result["parity"]), "", *result_lines(result)]
    print("\n".join(line for line in lines))
    _tell(result, console)
    try:
        _write(out, result)
    except OSError as exc:
        return _fail(_unwritable(out, exc), FAILED)
    console.note(f"{out} has the result: `kdcompress bench RUN --import {out.name}` puts it beside the other machines")
    if result["interrupted"]:
        return INTERRUPTED
    return 0 if result["passed"] else NOT_PASSED


def _parser(archive: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python3 {Path(archive).name}",
        description="Check that the files in this bundle compute the same on this machine, and time them in turns.",
    )
    parser.add_argument("--out", default=f"{Path(archive).stem}.json", metavar="FILE", help="the result (%(default)s)")
    parser.add_argument("--threads", metavar="N,..", help="threads, all for one a core (1,all)")
    parser.add_argument("--batch-size", default="1", metavar="N,..", help="images a call (%(default)s)")
    parser.add_argument(
        "--duration", type=float, default=DURATION_S, metavar="S", help="seconds that each file is timed (%(default)s)"
    )
    parser.add_argument("--runtime", action="append", default=[], help="only this runtime; repeatable")
    parser.add_argument("--max-slowdown", type=float, metavar="R", help="gate: student time / teacher time")
    return parser


def _benchmark(options: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    request = make_bench_request(
        parse_counts("--threads", options.threads) if options.threads else None,
        parse_counts("--batch-size", options.batch_size),
        duration=options.duration,
        max_slowdown=options.max_slowdown,
        runtimes=options.runtime,
    )
    contents, images, expected = read_contents(folder)
    device = Device(folder, contents, images)
    lineup = line_up(device, request, console)
    parity = []
    for subject in lineup.subjects:
        console.note(f"checking {subject.label} on {subject.runtime} ...")
        outputs = outputs_of(subject.runtime, subject.path, subject.images)
        entry = compare(outputs, expected[device.file_of(subject).expected], subject.precision)
        about = {"name": subject.name, "path": subject.shown_path, "runtime": subject.runtime}
        parity.append({**about, "precision": subject.precision, **entry})
    result = measure(lineup, request, console)
    passed = result["passed"] and all(entry["passed"] for entry in parity)
    return {**result, "bundle": contents.summary, "parity": parity, "passed": passed}


def _parity_lines(parity: Sequence[dict[str, Any]]) -> list[str]:
    return [f"parity of {_subject(entry)}: {_verdict(entry)}" for entry in parity]


def _subject(entry: dict[str, Any]) -> str:
    return f"{entry['name']}{' ' + entry['precision'] if entry['precision'] else ''} on {entry['runtime']}"


def _verdict(entry: dict[str, Any]) -> str:
    if not entry["passed"]:
        return f"FAILED, {'; '.join(entry['reasons'])}"
    same = f"the same class on {round(entry['top1_agreement'] * entry['n'])} of {entry['n']} images"
    if entry["identical"]:
        return f"{same}, outputs equal bit for bit"
    worst = 100 * entry["max_abs_diff"] / entry["largest_logit"]
    return f"{same}, outputs differ by up to {worst:.2g} % of the largest"


def _tell(result: dict[str, Any], console: Console) -> None:
    for skipped in result["skipped"]:
        console.note(f"not timed: {skipped}")
    for warning in result["warnings"]:
        console.warn(warning)
    for gate in result["gates"]:
        if not gate["passed"]:
            console.note(f"error: {failed_gate(gate)}")
    for entry in result["parity"]:
        if not entry["passed"]:
            console.note(
                f"error: {_subject(entry)} does not compute here what it computed where the bundle was made: "
                f"{'; '.join(entry['reasons'])}"
            )


def _try_to_write(path: Path) -> None:
    trial = path.with_name(f"{path.name}.try")
    _write(trial, {})
    trial.unlink()


def _unwritable(path: Path, exc: OSError) -> str:
    return f"{path.absolute()} could not be written ({exc.strerror}); name another file with --out"


def _write(path: Path, result: dict[str, Any]) -> None:
    """Write the result whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(json.dumps(result, indent=1), encoding="utf-8")
        part.replace(path)
    except OSError:
        if part.exists():
            part.unlink()
        raise


def _fail(problem: object, code: int) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return code
