"""The exports of a run's student, and of a Keras model on its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.data import Dataset, split_dataset
from kdcompress.errors import ModelError, RunError, UsageError
from kdcompress.exporting._base import FP32
from kdcompress.exporting._calibration import Calibration, from_folder, from_train, spread
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._pipeline import LIST, Exporter
from kdcompress.exporting._request import Request
from kdcompress.models import Forward, image_shape, load_saved_model, own_shape
from kdcompress.progress import Progress
from kdcompress.recipe import Recipe, read_resolved
from kdcompress.run import EXPORTS, RECIPE, RunFolder
from kdcompress.teachers import are_probabilities
from kdcompress.training.kept import open_data, open_model, read_outputs

_RANDOM = 64  # images
_SEED = 0


def export_run(run: RunFolder, request: Request, data_dir: Path | None, progress: Progress) -> dict[str, Any]:
    """Export the student of a run into its exports/, compared on the test split.

    Errors: RunError where there is no student yet or its file has changed; DataError; ExportError.
    """
    start = time.perf_counter()
    student, recipe = open_model(run, "student"), read_resolved(run / RECIPE)
    dataset = open_data(run, recipe, data_dir, progress)
    reference = _test(run, dataset, request.parity_samples)
    provenance = {"dataset": {key: dataset.facts[key] for key in ("name", "source")}, "recipe": recipe.digest}
    exporter = Exporter(
        freeze(student, dataset.input_shape),
        "student",
        run.path,
        EXPORTS,
        lambda precision: reference,
        _calibration(request, dataset, recipe),
        provenance,
    )

    def commit(path: Path) -> None:
        files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path]
        run.forget_missing(EXPORTS)
        for item in (*files, run / EXPORTS / LIST):
            run.commit(str(item.relative_to(run.path)))

    made = exporter.execute(request, progress, commit)
    return _result({"run": str(run.path)}, made, start)


def export_model(
    path: Path, out: Path | None, request: Request, input_shape: tuple[int, int, int] | None, progress: Progress
) -> dict[str, Any]:
    """Export a `.keras` file into `out` (by default NAME-exports beside it), compared on random and given images.

    Errors: ModelError; UsageError for int8 without images to calibrate with; ExportError.
    """
    start = time.perf_counter()
    if path.suffix != ".keras":
        raise UsageError(f"export takes a run folder or a .keras file, and {path} is neither")
    if request.needs_calibration and request.calibration is None:
        raise UsageError("int8 needs images to take its ranges from: give --calibration FOLDER")
    model = load_saved_model(path)
    shape = image_shape(own_shape(model, str(path)), input_shape, str(path))
    given = None
    if request.calibration is not None:
        given = from_folder(request.calibration, shape, request.calibration_samples)
    references = _unlabelled(model, shape, given, request.parity_samples or _RANDOM, _classes(path))
    if are_probabilities(references(FP32).logits):
        progress.warn(f"{path} ends in probabilities: its exports' output `logits` holds probabilities, too")
    folder = out or path.with_name(f"{path.stem}-exports")
    exporter = Exporter(freeze(model, shape), path.stem, folder, "", references, given, {})
    return _result({"model": str(path), "out": str(folder)}, exporter.execute(request, progress), start)


def _result(what: dict[str, Any], made: list[dict[str, Any]], start: float) -> dict[str, Any]:
    passed = all(entry["passed"] for entry in made)
    return {**what, "artefacts": made, "passed": passed, "seconds": round(time.perf_counter() - start, 3)}


def _test(run: RunFolder, dataset: Dataset, samples: int | None) -> Reference:
    outputs = read_outputs(run)
    if not np.array_equal(outputs.ids, dataset.test.ids):
        raise RunError(f"the test images of run {run.path} are others than those of its data now")
    ids, classes = outputs.ids.tolist(), list(dataset.classes)
    whole = Reference("test", dataset.test.images, ids, outputs.logits["student"], outputs.labels, classes)
    return whole.take(spread(len(ids), samples)) if samples else whole


def _calibration(request: Request, dataset: Dataset, recipe: Recipe) -> Calibration | None:
    if not request.needs_calibration:
        return None
    if request.calibration is not None:
        return from_folder(request.calibration, dataset.input_shape, request.calibration_samples)
    return from_train(split_dataset(dataset, recipe.split).train, request.calibration_samples)


def _unlabelled(
    model: Any, shape: tuple[int, int, int], given: Calibration | None, samples: int, classes: list[str] | None
) -> Any:
    """Random images and the given ones for fp32; the given alone for smaller precisions, whose ranges are theirs."""
    random = np.random.default_rng(_SEED).integers(0, 256, (samples, *shape), np.uint8)
    names = [f"random-{index}" for index in range(samples)]
    forward = Forward(model)

    def reference(source: str, images: Any, ids: list[str]) -> Reference:
        logits = forward(images)
        if logits.ndim != 2:
            raise ModelError(f"the model gives an output of shape {logits.shape[1:]} an image; it must give one row")
        known = classes if classes and len(classes) == logits.shape[-1] else [str(i) for i in range(logits.shape[-1])]
        return Reference(source, images, ids, logits, None, known)

    if given is None:
        noise = reference("random images", random, names)
        return lambda precision: noise
    seen = reference("given images", given.images, given.ids)
    images, ids = np.concatenate([random, given.images]), [*names, *given.ids]
    both = reference("random and given images", images, ids)
    return lambda precision: both if precision == FP32 else seen


def _classes(path: Path) -> list[str] | None:
    run = RunFolder(path.parent)
    return run.manifest().get("classes") if run.begun() else None
