"""A table of what each compression costs and brings, with the teacher and without, seed by seed."""

from __future__ import annotations

import datetime
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from tabling import grid, interval_text, processor

from kdcompress._version import __version__
from kdcompress.sweeping._gain import mean_interval, paired_gain

ONNX, TFLITE = "onnx", "tflite"


@dataclass(frozen=True)
class Variant:
    """A row of the table: what is done to the student, and which of its files is measured."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    precision: str = "fp32"


@dataclass(frozen=True)
class Measured:
    """A file of one seed: its metric on test, its bytes plain and after gzip, and the FLOPs of its model."""

    metric: float
    size: int
    zipped: int
    flops: int


def measure(run: Any, variant: Variant, kind: str, data_dir: Path | None, progress: Any) -> Measured:
    """Compress a run's student as a row says, export it, and measure the file."""
    import kdcompress

    source, folder = str(run), Path(run)
    if variant.options:
        result = kdcompress.compress(run, **variant.options, data_dir=data_dir, progress=progress)
        folder, source = Path(result["run"]), f"{run}:{result['name']}"
    path = folder / "exports" / f"student-{variant.precision}.{kind}"
    if not path.exists():
        kdcompress.export(source, (kind,), (variant.precision,), data_dir=data_dir, progress=progress)
    listed = json.loads((folder / "exports" / "exports.json").read_text())["artefacts"]
    metrics = next(e["metrics"] for e in listed if (e["format"], e["precision"]) == (kind, variant.precision))
    content = path.read_bytes()
    costs = kdcompress.verify(source, progress=progress)["student"]
    metric = metrics["auc"] if metrics.get("auc") is not None else metrics["accuracy"]
    return Measured(metric, len(content), len(gzip.compress(content, 9)), costs["flops"])


def table(
    variants: Sequence[Variant],
    kinds: Sequence[str],
    found: Mapping[tuple[str, str, bool], Sequence[Measured]],
    metric: str,
) -> str:
    """The table in Markdown: one row for each variant and kind of file, its metric with the teacher and without."""
    first = {kind: found[variants[0].name, kind, True][0] for kind in kinds}
    rows = []
    for variant in variants:
        for kind in kinds:
            taught, alone = found[variant.name, kind, True], found[variant.name, kind, False]
            values = [[one.metric for one in seeds] for seeds in (taught, alone)]
            gain = paired_gain(*values)
            base = first[kind]
            rows.append(
                [
                    variant.name,
                    {ONNX: "ONNX", TFLITE: "TFLite"}[kind],
                    *(interval_text(mean_interval(seeds)) for seeds in values),
                    _points(gain),
                    f"{mean(one.size for one in taught) / base.size:.3f}",
                    f"{mean(one.zipped for one in taught) / base.zipped:.3f}",
                    f"{mean(one.zipped for one in taught) / base.size:.3f}",
                    f"{mean(one.flops for one in taught) / base.flops:.2f}",
                ]
            )
    head = [
        "", "file", f"{metric} with the teacher, % (95 %)", "without", "gain, points (95 %)", "bytes", "gzip / gzip",
        "gzip / bytes", "FLOPs",
    ]  # fmt: skip
    return grid(head, rows)


def _points(gain: dict[str, Any]) -> str:
    if gain["low"] is None:
        return f"{100 * gain['mean']:+.2f}"
    return f"{100 * gain['mean']:+.2f} ({100 * gain['low']:+.2f} to {100 * gain['high']:+.2f})"


def drops(variants: Sequence[Variant], kind: str, found: Mapping[tuple[str, str, bool], Sequence[Measured]]) -> str:
    """What each row loses against the first, seed by seed, as a list in Markdown."""
    base = [one.metric for one in found[variants[0].name, kind, True]]
    lines = []
    for variant in variants[1:]:
        gain = paired_gain([one.metric for one in found[variant.name, kind, True]], base)
        lines.append(f"- {variant.name}: {_points(gain)} points")
    return "\n".join(lines)


def made_by(command: str, data: Mapping[str, Any], seeds: int, seconds: float) -> str:
    """How the figures were made, in a sentence or two."""
    return (
        f"`python {command}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}, {seconds / 60:.0f} "
        f"minutes of work; {data['n_train']:,} images to train on, {data['n_val']:,} to choose epochs by, "
        f"{data['n_test']:,} to test; {seeds} seeds."
    )
