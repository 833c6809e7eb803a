"""`kdcompress bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._terminal import TRUST, Terminal, log_of, parse_shape, working
from kdcompress.errors import UsageError

_ALL = "all"


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
    data_dir: Path = typer.Option(None, help="Where the run's data lies now, if it was moved."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Time the student against its teacher: the same runtime, threads, batch and images, turn by turn.

    Models take turns in short blocks, so that a drift of the machine meets all of them; every call counts. A speedup is
    teacher time / student time and has a 95 % interval; where that covers 1, the two cannot be told apart. Loading, the
    first inference and the peak of memory are measured in a process of each model's own. Of a run: its teacher (fp32)
    and all its exports, on test images. Of files: all against the first, on random images. Exit code 3 if the gate
    fails. Ctrl-C shows what was finished.

    \b
    kdcompress bench runs/demo
    kdcompress bench runs/demo --threads 1,4 --batch-size 1,32 --duration 10 --max-slowdown 0.5
    kdcompress bench big.onnx small.onnx small.tflite --input-shape 224,224,3
    kdcompress bench small.onnx --runtime onnxruntime --runtime your_package.runtimes:Yours
    """
    from kdcompress import api

    shape, counts, sizes = parse_shape(input_shape), _counts("--threads", threads), _counts("--batch-size", batch_size)
    with working(log_of(sources[0]) if len(sources) == 1 else None) as terminal:
        result = api.bench(
            *sources,
            threads=counts,
            batch_sizes=sizes or (),
            duration=duration,
            max_slowdown=max_slowdown,
            input_shape=shape,
            end_to_end=end_to_end,
            runtimes=runtime,
            data_dir=data_dir,
            trust_code=trust_code,
            progress=terminal.progress,
        )
        terminal.json(result) if as_json else _print_result(result, terminal)
        _print_messages(result, terminal)
    if result["interrupted"]:
        raise typer.Exit(130)
    if not result["passed"]:
        raise typer.Exit(3)


def _counts(option: str, text: str | None) -> list[int] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if option == "--threads" and _ALL in parts:
        from kdcompress.benchmarking._request import cores

        parts = [str(cores()) if part == _ALL else part for part in parts]
    try:
        return [int(part) for part in parts]
    except ValueError:
        raise UsageError(f"{option} takes whole numbers such as 1,4, got {text!r}") from None


def _print_messages(result: dict[str, Any], terminal: Terminal) -> None:
    for skipped in result["skipped"]:
        # Without its teacher a student has no speedup, which is what most come for
        emit = terminal.progress.warn if skipped.endswith("have no speedup") else terminal.progress.note
        emit(f"not timed: {skipped}")
    for warning in result["warnings"]:
        terminal.progress.warn(warning)
    for gate in result["gates"]:
        if not gate["passed"]:
            terminal.failure(f"gate {gate['name']} fails: {_pair(gate)} takes {_slowdown(gate)}")
    if result["interrupted"]:
        terminal.failure("interrupted; this is what was finished, the same command starts anew")


_COLUMNS = (
    ("p50 ms", "p50_ms", 9, "{:.3f}"),
    ("p90", "p90_ms", 8, "{:.3f}"),
    ("p99", "p99_ms", 8, "{:.3f}"),
    ("max", "max_ms", 8, "{:.2f}"),
    ("images/s", "throughput_per_s", 9, "{:,.0f}"),
    ("load ms", "load_ms", 8, "{:.1f}"),
    ("first ms", "first_ms", 9, "{:.2f}"),
    ("peak MB", "peak_rss_mb", 8, "{:.0f}"),
    ("n", "n", 8, "{:,}"),
)


def _print_result(result: dict[str, Any], terminal: Terminal) -> None:
    models = result["models"]
    width = max(len(_name(model)) for model in models)
    setting = None
    for model in models:
        if (model_setting := _setting(model)) != setting:
            head = "".join(f"{title:>{size}}" for title, _, size, _ in _COLUMNS)
            if setting is not None:
                terminal.result("")
            terminal.result(model_setting)
            terminal.result(f"{'':<{width}}{head}  file MB")
            setting = model_setting
        values = "".join(f"{form.format(model[key]):>{size}}" for _, key, size, form in _COLUMNS)
        terminal.result(f"{_name(model):<{width}}{values}  {model['bytes'] / 1e6:7.3f}")
        if files := model["end_to_end"]:
            times = "".join(f"{form.format(files[key]):>{size}}" for _, key, size, form in _COLUMNS[:5])
            terminal.result(f"{'  from file':<{width}}{times}")
    terminal.result("")
    for pair in result["comparisons"]:
        terminal.result(_sentence(pair))
    for slow in result["slower_than_fp32"]:
        terminal.result(_slow(slow))
    for gate in result["gates"]:
        verdict = "passed" if gate["passed"] else "FAILED"
        across = ", across runtimes" if gate.get("across_runtimes") else ""
        terminal.result(f"gate {gate['name']} {_pair(gate)}: {_slowdown(gate)}{across}: {verdict}")
    _print_conditions(result, terminal)


def _slowdown(gate: dict[str, Any]) -> str:
    value = f"{gate['value']:.3g} times" if gate["value"] else "an unknown number of times"
    teacher = "the teacher" if gate["teacher"] in (None, "teacher") else gate["teacher"]
    return f"{value} the time of {teacher}, at most {gate['limit']:g} allowed"


def _print_conditions(result: dict[str, Any], terminal: Terminal) -> None:
    machine, settings = result["machine"], result["settings"]
    sets = (
        ", ".join(name for name, supported in machine["instruction_sets"].items() if supported) or "no known extension"
    )
    terminal.result(
        f"{machine['cpu']}, {machine['usable_cores']} cores, {sets}; inputs: {settings['inputs']}; "
        f"{settings['rounds']} turns of {settings['turn_ms']:.0f} ms each; {result['seconds']:.0f} s"
    )


def _name(model: dict[str, Any]) -> str:
    return _label(model["name"], model["precision"])


def _label(name: str, precision: str | None) -> str:
    """The name with its precision, which it may already end in."""
    return f"{name.removesuffix(f'-{precision}')} {precision}" if precision else name


def _setting(model: dict[str, Any]) -> str:
    return f"{model['runtime']}, {_threads(model['threads'])}, batch {model['batch_size']}"


def _threads(n: int) -> str:
    return f"{n} thread{'' if n == 1 else 's'}"


def _pair(pair: dict[str, Any]) -> str:
    name = _label(pair["student"], pair["precision"])
    return f"{name} on {pair['runtime']}, {_threads(pair['threads'])}, batch {pair['batch_size']}"


def _sentence(pair: dict[str, Any]) -> str:
    """`student int8 on onnxruntime, 1 thread, batch 1: 4.6 times as fast as the teacher (95 % 4.4 to 4.9)`."""
    teacher = _label(pair["teacher"], pair["teacher_precision"])
    reference = "the teacher" if pair["teacher"] == "teacher" else teacher
    if pair["teacher_runtime"] != pair["runtime"]:
        reference += f" on {pair['teacher_runtime']}"
    text = f"{_pair(pair)}: {_speed(pair, reference)}"
    if pair.get("across_runtimes"):
        text += ", across runtimes"
    if files := pair["end_to_end"]:
        text += f"; from file to answer {_digits(files['speedup'])} times as fast"
    return text


def _speed(pair: dict[str, Any], reference: str) -> str:
    value, low, high = pair["speedup"], pair["speedup_low"], pair["speedup_high"]
    if low is None:
        return f"{_digits(value)} times as fast as {reference} (too few rounds for an interval)"
    interval = f"(95 % {_digits(low)} to {_digits(high)})"
    if not pair["distinguishable"]:
        return f"not distinguishable from {reference}: {_digits(value)} times as fast {interval}"
    slower = "" if value > 1 else f": SLOWER, a call takes {_digits(1 / value)} times as long"
    return f"{_digits(value)} times as fast as {reference} {interval}{slower}"


def _digits(value: float) -> str:
    """A number with three significant digits, including zeros."""
    return f"{value:#.3g}".rstrip(".")


def _slow(slow: dict[str, Any]) -> str:
    text = (
        f"{slow['name']} int8 on {slow['runtime']}, {_threads(slow['threads'])}, batch {slow['batch_size']} takes "
        f"{slow['slowdown']:.3g} times as long as fp32; likely because {'; '.join(slow['reasons'])}"
    )
    if slow["operators"]:
        text += "; its time: " + ", ".join(
            f"{operator['operator']} {100 * operator['share']:.0f} %" for operator in slow["operators"]
        )
    return text
