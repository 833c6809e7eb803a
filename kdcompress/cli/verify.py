"""`kdcompress verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._metrics import Columns, show_metrics
from kdcompress.cli._terminal import TRUST, Terminal, log_of, parse_shape, working
from kdcompress.formatting import digits, grew, ms
from kdcompress.verification.gates import format_limit
from kdcompress.verification.origin import synthetic_notice

_MAX_ROWS = 12  # of a table of layers
_MAX_NAME = 48  # characters of a layer's name; the end of a longer one is shown


def verify(
    source: Path = typer.Argument(..., metavar="RUN|MODEL", help="A run folder, a model file, or module:function."),
    input_shape: str = typer.Option(None, metavar="H,W,C", help="For a model that takes images of any size."),
    max_params_ratio: float = typer.Option(None, help="Gate: student / teacher parameters."),
    max_flops_ratio: float = typer.Option(None, help="Gate: student / teacher FLOPs."),
    max_bytes_ratio: float = typer.Option(None, help="Gate: student / teacher bytes of the model file."),
    max_metric_drop: float = typer.Option(None, help="Gate: what the metric may lose; a fraction, 0.01 is one point."),
    min_accuracy: float = typer.Option(None, help="Gate: the student's accuracy on test; a fraction, 0.95 is 95 %."),
    min_gain: float = typer.Option(None, help="Gate: what the metric gains from the teacher; a fraction."),
    max_slowdown: float = typer.Option(
        None, metavar="R", help="Gate: student time / teacher time, as `bench` measured them."
    ),
    machine: str = typer.Option(
        None, metavar="NAME", help="Whose times --max-slowdown judges. [default: of the machine that `bench` ran on]"
    ),
    files: bool = typer.Option(False, "--files", help="Check the bytes of all files of a run, and nothing else."),
    layers: bool = typer.Option(False, "--layers", help="Show every layer, not only the heaviest."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Prove what got smaller, and what it cost.

    Of a run: parameters, MACs, FLOPs and bytes of teacher and student, layer by layer, their ratios, and how both do on
    the test split. No limit is set unless you set one; a student that breaks one exits with code 3. Of a model (.keras,
    .onnx, .tflite, a SavedModel folder, module:function): what it costs. FLOPs are TensorFlow's profiler's for one
    image, checked against a count from the layers' shapes.

    \b
    kdcompress verify runs/demo
    kdcompress verify runs/demo --max-flops-ratio 0.2 --max-metric-drop 0.01
    kdcompress verify big.keras --input-shape 224,224,3 --layers
    """
    from kdcompress import api

    if files:
        _check_files(source, as_json)
        return
    shape = parse_shape(input_shape)
    limits = {
        "max_params_ratio": max_params_ratio,
        "max_flops_ratio": max_flops_ratio,
        "max_bytes_ratio": max_bytes_ratio,
        "max_metric_drop": max_metric_drop,
        "min_accuracy": min_accuracy,
        "min_gain": min_gain,
        "max_slowdown": max_slowdown,
    }
    with working(log_of(source)) as terminal:
        result = api.verify(
            source,
            input_shape=shape,
            machine=machine,
            trust_code=trust_code,
            progress=terminal.progress,
            **limits,
        )
        if as_json:
            terminal.json(result)
        elif "model" in result:
            _print_model(result["model"], layers, terminal)
        else:
            _print_run(result, layers, terminal)
        _print_failures(result, terminal)
    if not result.get("passed", True):
        raise typer.Exit(3)


def _check_files(source: Path, as_json: bool) -> None:
    from kdcompress import api

    with working() as terminal:
        result = api.verify_files(source)
        if as_json:
            terminal.json(result)
        else:
            for file in result["damaged"]:
                terminal.result(f"{file['problem']} since the run wrote it; {file['remedy']}")
            intact = result["files"] - len(result["damaged"])
            terminal.result(f"{intact:,} of {result['files']:,} files are as run {result['run']} wrote them")
        if not result["passed"]:
            count = len(result["damaged"])
            verb = "file of run {} is" if count == 1 else "files of run {} are"
            terminal.failure(f"{count} {verb.format(result['run'])} damaged or gone")
    if not result["passed"]:
        raise typer.Exit(1)


def _print_failures(result: dict[str, Any], terminal: Terminal) -> None:
    for role in ("model", "teacher", "student"):
        for warning in result.get(role, {}).get("warnings", []):
            terminal.progress.warn(f"{role}: {warning}")
    for role in result.get("at_chance", []):
        terminal.progress.warn(
            f"the {role} is not shown to be better on test than a constant answer, the most frequent class"
        )
    for gate in result.get("gates", []):
        if not gate["passed"]:
            word = "required" if gate["name"].startswith("min_") else "allowed"
            terminal.failure(f"gate {gate['name']} fails{_where(gate)}: {_value(gate)}, {_limit(gate)} {word}")


def _value(gate: dict[str, Any]) -> str:
    """The value of a gate, with the end of its interval that is held against the limit."""
    if gate["value"] is None:
        return "not measurable"
    return f"{gate['value']:.4g}" + (f" (95 % from {gate['low']:.4g})" if gate.get("low") else "")


def _where(gate: dict[str, Any]) -> str:
    return f" on machine {gate['machine']}, {gate['model']}" if gate.get("machine") else ""


def _limit(gate: dict[str, Any]) -> str:
    return format_limit(gate["name"], f"{gate['limit']:g}")


def _print_model(model: dict[str, Any], all_layers: bool, terminal: Terminal) -> None:
    for name, key in _COUNTS:
        if model[key] is not None:
            terminal.result(f"{name:<16} {model[key]:>16,}")
    height, width, channels = model["input_shape"]
    terminal.result(f"{'image':<16} {f'{height}x{width}x{channels}':>16}")
    _print_layers("layer", model, all_layers, terminal)


_COUNTS = (
    ("parameters", "params"),
    ("  trainable", "trainable_params"),
    ("  not trainable", "non_trainable_params"),
    ("MACs", "macs"),
    ("FLOPs", "flops"),
    ("  preprocessing", "preprocessing_flops"),
    ("bytes of file", "bytes"),
    ("bytes of weights", "weight_bytes"),
)
_RATIOS = {"params", "macs", "flops", "bytes", "weight_bytes"}


def _print_run(result: dict[str, Any], all_layers: bool, terminal: Terminal) -> None:
    teacher, student = result["teacher"], result["student"]
    for role in ("teacher", "student"):
        _print_layers(f"{role}'s layer", result[role], all_layers, terminal)
    columns = Columns.of(result, terminal)
    columns.show("", "teacher", "student", "student / teacher")
    for name, key in _COUNTS:
        if teacher[key] is not None and student[key] is not None:
            ratio = student[key] / teacher[key] if key in _RATIOS and teacher[key] else None
            shown = "" if ratio is None else f"{ratio:.3g}{'  GREW' if grew(ratio) else ''}"
            columns.show(name, f"{teacher[key]:,}", f"{student[key]:,}", shown)
    if notice := synthetic_notice(result["dataset"]):
        terminal.result(notice)
    show_metrics(result, columns)
    for gate in result["gates"]:
        verdict = "passed" if gate["passed"] else "FAILED"
        terminal.result(f"gate {gate['name']:<17} {_value(gate)} of {_limit(gate)}{_where(gate)}: {verdict}")
    if "latency" in result["ratios"]:
        terminal.result(f"median latency, as `bench` measured it: {_times(result['ratios']['latency'])} the teacher's")
    for row in result["machines"]:
        faster = f", {digits(row['speedup'])} times as fast as the teacher" if row["speedup"] else ""
        wrong = "" if row["parity"] is not False else "; it does NOT compute there what it computes here"
        terminal.result(
            f"on {row['machine']} ({row['hardware']}), {row['model']}: {ms(row['p50_ms'])} ms{faster}{wrong}"
        )
    terminal.result(_summary(result))


def _summary(result: dict[str, Any]) -> str:
    ratios, drop = result["ratios"], result["metric_drop"]
    params, flops, size = (_times(ratios[key]) for key in ("params", "flops", "bytes"))
    more = " (they GREW)" if grew(ratios["params"]) else ""
    word = "FLOPs" if result["flops_ratio_from"] == "flops" else "MACs"
    cost = "" if drop is None else f" and {'loses' if drop >= 0 else 'gains'} {100 * abs(drop):.2f} points"
    metric = f" of {'AUC' if result['metric'] == 'auc' else result['metric']}" if cost else ""
    return (
        f"the student has {params} the teacher's parameters{more}, {flops} its {word}, {size} its bytes,{cost}{metric}"
    ).rstrip(",")


def _times(ratio: float | None) -> str:
    return "an unknown number of times" if ratio is None else f"{ratio:.3g} times"


def _print_layers(title: str, cost: dict[str, Any], all_layers: bool, terminal: Terminal) -> None:
    """Print the heaviest layers in the order of the network, and the sum of the others."""
    layers, key = cost["layers"], "flops" if cost["flops"] is not None else "macs"
    heaviest = sorted(layers, key=lambda layer: -(layer[key] or 0))
    shown = (
        layers
        if all_layers or len(layers) <= _MAX_ROWS
        else [layer for layer in layers if layer in heaviest[:_MAX_ROWS]]
    )
    rest = [layer for layer in layers if layer not in shown]
    width = min(_MAX_NAME, max(len(title), *(len(layer["name"]) for layer in shown), 22))
    terminal.result(f"{title:<{width}} {'kind':<18} {'parameters':>12} {'MACs':>15} {'FLOPs':>15}   share")
    for layer in shown:
        terminal.result(_layer(layer["name"], layer["kind"], layer, width))
    if rest:
        total = {name: sum(layer[name] or 0 for layer in rest) for name in ("params", "macs", "flops", "share")}
        terminal.result(_layer(f"{len(rest)} more (--layers)", "", total, width))
    terminal.result("")


def _layer(name: str, kind: str, layer: dict[str, Any], width: int) -> str:
    flops = "" if layer["flops"] is None else f"{layer['flops']:,}"
    share = f"{100 * layer['share']:5.1f} %"
    name = name if len(name) <= width else f"...{name[3 - width :]}"
    return f"{name:<{width}} {kind:<18} {layer['params']:>12,} {layer['macs']:>15,} {flops:>15}   {share}"
