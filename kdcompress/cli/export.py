"""`kdcompress export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._terminal import TRUST, Terminal, log_of, parse_shape, working
from kdcompress.errors import UsageError


def export(
    source: Path = typer.Argument(
        ..., metavar="RUN|MODEL", help="A run (its student), a .keras file, or module:function."
    ),
    formats: list[str] = typer.Option(
        ["onnx", "tflite"], "--format", help="onnx, tflite, saved-model, all of these, or ncnn; repeatable."
    ),
    precisions: list[str] = typer.Option(
        None, "--precision", help="fp32, fp16, int8, int4, dynamic (TFLite) or all; repeatable. [default: fp32]"
    ),
    opset: int = typer.Option(17, help="The ONNX opset, 13 to 18."),
    input_type: str = typer.Option("int8", help="What a full int8 TFLite file takes and gives: int8, uint8, float32."),
    calibration: Path = typer.Option(
        None, help="A folder of images to calibrate int8 with. [default: images of the run's training split]"
    ),
    calibration_samples: int = typer.Option(200, help="How many images calibrate int8."),
    float_layers: list[str] = typer.Option(
        None, "--float", metavar="LAYERS", help="Layers of int8 files that stay in float, as conv1,logits; repeatable."
    ),
    keep_metric: float = typer.Option(
        None, help="Search the fewest layers to leave in float so that int8 loses at most this much on validation."
    ),
    explain: bool = typer.Option(False, "--explain", help="Show which layers of int8 files pay; nothing is exported."),
    int4_convolutions: bool = typer.Option(
        False,
        "--int4-convolutions",
        help="4 bits for convolutions of int4 files, too (TFLite); by default they have 8.",
    ),
    max_metric_drop: float = typer.Option(
        0.01, help="All precisions but fp32 may lose this much of the metric; a fraction."
    ),
    parity_samples: int = typer.Option(
        None, help="Compare on that many images. [default: the whole test split; 64 random images without a run]"
    ),
    input_shape: str = typer.Option(None, metavar="H,W,C", help="For a model that takes images of any size."),
    out: Path = typer.Option(None, help="Where a model's exports go. [default: NAME-exports beside it]"),
    data_dir: str = typer.Option(None, metavar="DIR|URL", help="Where the run's data lies now, if it was moved."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Write ONNX, TFLite and SavedModel files, and prove that they compute the same.

    Every file is run on the test split, at batch 1 and 64, and compared with the Keras model: difference of logits,
    top-1, the metric and its drop. Exit code 3 if one fails; it is kept, with `.failed` in its name. One that a format
    cannot express (exit code 1) does not stop the others. Raw pixels go in,
    0 to 255; class names and preprocessing are in the file. Exporting the same model again gives the same bytes (of a
    SavedModel: the same values).

    \b
    kdcompress export runs/demo
    kdcompress export runs/demo --precision fp32 --precision int8
    kdcompress export runs/demo --format all --precision all
    Which layers int8 costs most, and a file that leaves those in float:
      kdcompress export runs/demo --explain
      kdcompress export runs/demo --keep-metric 0.002
    A model on its own, with some images to calibrate with:
      kdcompress export model.keras --precision int8 --calibration photos/
    """
    from kdcompress import api
    from kdcompress.cli._explanation import print_explanation

    shape = parse_shape(input_shape)
    with working(log_of(source)) as terminal:
        common: dict[str, Any] = {
            "opset": opset,
            "input_type": input_type,
            "calibration": calibration,
            "calibration_samples": calibration_samples,
            "data_dir": data_dir,
            "trust_code": trust_code,
            "progress": terminal.progress,
        }
        if explain and keep_metric is None:
            _check_explain(precisions, float_layers, out, shape)
            explanation = api.explain(source, formats, samples=parity_samples, **common)
            terminal.json(explanation) if as_json else print_explanation(explanation, explanation["run"], terminal)
            return
        result = api.export(
            source,
            formats,
            precisions or None,
            float_layers=float_layers or (),
            keep_metric=keep_metric,
            int4_convolutions=int4_convolutions,
            out=out,
            input_shape=shape,
            max_metric_drop=max_metric_drop,
            parity_samples=parity_samples,
            **common,
        )
        if explain and not as_json:
            print_explanation(result["explanation"], result["run"], terminal)
        terminal.json(result) if as_json else _print_result(result, terminal)
        for entry in result["artefacts"]:
            if not entry["passed"]:
                terminal.failure(f"{entry['path']} fails parity: {'; '.join(entry['reasons'])}")
        for failure in result["failures"]:
            terminal.failure(f"no {failure['precision']} file for {failure['format']}: {failure['reason']}")
    if not result["passed"]:
        raise typer.Exit(1 if result["failures"] else 3)


def _check_explain(*unused: Any) -> None:
    """Check that no option is given beside --explain that only a file would use."""
    precisions, float_layers, out, input_shape = unused
    if precisions and set(precisions) != {"int8"}:
        raise UsageError(f"--explain is of int8 files and writes none, got --precision {', '.join(precisions)}")
    options = {"--float": float_layers, "--out": out, "--input-shape": input_shape}
    if (option := next((name for name, value in options.items() if value), None)) is not None:
        raise UsageError(f"--explain measures every layer of a run's int8 files: leave {option} out")


def _print_result(result: dict[str, Any], terminal: Terminal) -> None:
    entries = result["artefacts"]
    width = max(len(entry["path"]) for entry in entries)
    metric = next((entry["metric"] for entry in entries if entry["metric"]), None)
    head = f"{'file':<{width}}        MB      gzip     top-1 equal   max diff"
    terminal.result(f"{head}  {metric:>9}    change    ECE  worst class" if metric else head)
    for entry in entries:
        parity, n = entry["parity"], entry["parity"]["n"]
        same = f"{n - len(parity['flipped']):,}/{n:,}"
        difference = "not finite" if parity["max_abs_diff"] is None else f"{parity['max_abs_diff']:.2g}"
        sizes = f"{entry['bytes'] / 1e6:8.3f}  {entry['gzip_bytes'] / 1e6:8.3f}"
        line = f"{entry['path']:<{width}}  {sizes}  {same:>14}  {difference:>9}"
        terminal.result(line + _metric(entry) + ("" if entry["passed"] else "  FAILED"))
    for entry in entries:
        if entry["float_layers"]:
            terminal.result(f"{entry['path']}: in float: {', '.join(entry['float_layers'])}")
    parity = entries[0]["parity"]
    folder = result.get("run") or result["out"]
    terminal.result(
        f"{folder}: compared on {parity['source']}, largest |logit| {parity['largest_logit']:.3g}, "
        f"{result['seconds']:.0f} s"
    )


def _metric(entry: dict[str, Any]) -> str:
    """The metric, its change in percentage points, the calibration error, and the largest drop in recall of a class."""
    if entry["metrics"] is None or entry["metric_drop"] is None:
        return ""
    value, ece = entry["metrics"][entry["metric"]], entry["metrics"]["ece"]
    falls = {name: change for name, change in entry["recall_change"].items() if change is not None and change < 0}
    worst = min(falls, key=lambda name: falls[name], default=None)
    recall = "-" if worst is None else f"{worst} {100 * falls[worst]:+.2f}"
    return f"  {100 * value:7.2f} %  {-100 * entry['metric_drop'] + 0.0:+8.2f}  {ece:.4f}  {recall}"
