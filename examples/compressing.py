"""A table of what each compression costs and brings, with the teacher and without, seed by seed."""

from __future__ import annotations

import datetime
import gzip
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from tabling import grid, interval_text, points_text, processor, write_figures

from kdcompress._version import __version__
from kdcompress.sweeping._gain import mean_interval, paired_gain

KINDS = {"onnx": "ONNX", "tflite": "TFLite"}


@dataclass(frozen=True)
class Variant:
    """A row of the table: what is done to the student, and which of its files is measured."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    precision: str = "fp32"


@dataclass(frozen=True)
class Measured:
    """A file of one seed: its metric on test, its bytes plain and after gzip, the FLOPs of its model, and its gates.

    Attributes:
        passed: Whether `export` would ship it; a file that strays too far from its student is measured all the same.
    """

    metric: float
    size: int
    zipped: int
    flops: int
    passed: bool = True


@dataclass(frozen=True)
class Study:
    """What is compressed, and how often: a recipe, its settings by seed, and the rows of the table.

    Attributes:
        recipe: Name of the recipe.
        settings: Returns the settings of a seed.
        seeds: The seeds.
        variants: The rows; the first is the student as it is.
        metric: Name of the metric in what is printed.
        work: Where everything made lies.
        figures: JSON file of what was measured; what it has is neither made nor measured again.
    """

    recipe: str
    settings: Callable[[int], dict[str, Any]]
    seeds: range
    variants: Sequence[Variant]
    metric: str
    work: Path
    figures: Path


Found = dict[tuple[str, str, bool], list[Measured]]
"""What was measured, seed by seed: by variant, kind of file, and whether there was a teacher."""


def collect(study: Study, progress: Any) -> tuple[Found, list[dict[str, Any]]]:
    """Distil and compress every seed, with the teacher and without; what was measured before is not made again.

    Returns:
        (the measurements, the facts of each seed's run: metrics of its teacher, numbers of images).
    """
    known: dict[str, Any] = json.loads(study.figures.read_text()) if study.figures.exists() else {}
    for seed in study.seeds:
        for taught in (True, False):
            name = f"{'taught' if taught else 'alone'}-s{seed}"
            rows = {f"{variant.name}, {kind}": (variant, kind) for variant in study.variants for kind in KINDS}
            facts = known.setdefault(name, {"rows": {}, "seconds": 0})
            missing = {row: what for row, what in rows.items() if row not in facts["rows"]}
            if not missing:
                continue
            start = time.perf_counter()
            run = _distilled(study, name, seed, taught, progress)
            facts["dataset"] = {
                key: run.result["dataset"][key] for key in ("name", "n_train", "n_val", "n_test", "fingerprint")
            }
            facts["teacher"] = run.result["teacher"]
            for row, (variant, kind) in missing.items():
                one = measure(run.path, variant, kind, progress)
                facts["rows"][row] = asdict(one)
                now = time.perf_counter()
                facts["seconds"] += round(now - start)
                start = now
                print(f"{name}: {row}: {study.metric} {100 * one.metric:.2f} %", flush=True)
                write_figures(study.figures, known)
    found: Found = {}
    for variant in study.variants:
        for kind in KINDS:
            for taught, who in ((True, "taught"), (False, "alone")):
                rows_of = [known[f"{who}-s{seed}"]["rows"][f"{variant.name}, {kind}"] for seed in study.seeds]
                found[variant.name, kind, taught] = [Measured(**row) for row in rows_of]
    return found, [known[f"taught-s{seed}"] | {"alone": known[f"alone-s{seed}"]} for seed in study.seeds]


def seconds_of(facts: Sequence[Mapping[str, Any]]) -> float:
    """The seconds that all of `facts` took, over every start."""
    return float(sum(one["seconds"] + one["alone"]["seconds"] for one in facts))


def _distilled(study: Study, name: str, seed: int, taught: bool, progress: Any) -> Any:
    import kdcompress

    return kdcompress.distill(
        study.recipe,
        out=study.work / name,
        seed=seed,
        baseline=False,
        method=None if taught else "none",
        settings=study.settings(seed),
        progress=progress,
    )


def measure(run: Path, variant: Variant, kind: str, progress: Any) -> Measured:
    """Compress a run's student as a row says, export it, and measure the file."""
    import kdcompress

    source, folder = str(run), run
    if variant.options:
        result = kdcompress.compress(run, **variant.options, progress=progress)
        folder, source = Path(result["run"]), f"{run}:{result['name']}"
    entry = _exported(folder, variant.precision, kind)
    if entry is None:
        kdcompress.export(source, (kind,), (variant.precision,), progress=progress)
        entry = _exported(folder, variant.precision, kind)
    assert entry is not None
    content = (folder / entry["path"]).read_bytes()
    costs = kdcompress.verify(source, progress=progress)["student"]
    metrics = entry["metrics"]
    metric = metrics["auc"] if metrics.get("auc") is not None else metrics["accuracy"]
    return Measured(metric, len(content), len(gzip.compress(content, 9)), costs["flops"], entry["passed"])


def _exported(folder: Path, precision: str, kind: str) -> dict[str, Any] | None:
    """What `exports.json` says of a file, shipped or refused, or None where it has not been exported."""
    listing = folder / "exports" / "exports.json"
    listed = json.loads(listing.read_text())["artefacts"] if listing.exists() else []
    found = (entry for entry in listed if (entry["format"], entry["precision"]) == (kind, precision))
    return next(found, None)


def table(study: Study, found: Found) -> str:
    """The table in Markdown: one row for each variant and kind of file, its metric with the teacher and without."""
    rows = []
    for variant in study.variants:
        for kind, title in KINDS.items():
            base = found[study.variants[0].name, kind, True][0]
            taught, alone = (found[variant.name, kind, has_teacher] for has_teacher in (True, False))
            values = [[one.metric for one in seeds] for seeds in (taught, alone)]
            ratios = (
                mean(one.size for one in taught) / base.size,
                mean(one.zipped for one in taught) / base.zipped,
                mean(one.zipped for one in taught) / base.size,
                mean(one.flops for one in taught) / base.flops,
            )
            intervals = [
                interval_text(mean_interval(metrics)) + _refused(seeds)
                for metrics, seeds in zip(values, (taught, alone), strict=True)
            ]
            numbers = [f"{ratio:.3f}" for ratio in ratios]
            rows.append([variant.name, title, *intervals, points_text(paired_gain(*values)), *numbers])
    head = [
        "", "file", f"{study.metric} with the teacher, % (95 %)", "without", "gain, points (95 %)", "bytes",
        "gzip / gzip", "gzip / bytes", "FLOPs",
    ]  # fmt: skip
    return grid(head, rows)


def _refused(seeds: Sequence[Measured]) -> str:
    """How many of a row's files `export` would not ship, as the table says it."""
    count = sum(not one.passed for one in seeds)
    return f"; refused: {count} of {len(seeds)}" if count else ""


def drops(study: Study, found: Found) -> str:
    """How far each row is from the first, as ONNX and with the teacher, seed by seed, as a list in Markdown."""

    def metrics(variant: Variant) -> list[float]:
        return [one.metric for one in found[variant.name, "onnx", True]]

    first, *others = study.variants
    return "\n".join(f"- {one.name}: {points_text(paired_gain(metrics(one), metrics(first)))} points" for one in others)


def made_by(command: str, data: Mapping[str, Any], seeds: int, seconds: float) -> str:
    """How the figures were made, in a sentence or two."""
    return (
        f"`python {command}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}, {seconds / 60:.0f} "
        f"minutes of work; {data['n_train']:,} images to train on, {data['n_val']:,} to choose epochs by, "
        f"{data['n_test']:,} to test; {seeds} seeds."
    )
