"""Explanation of the int8 files of a run's student, on its validation images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, split_dataset
from kdcompress.errors import UsageError
from kdcompress.exporting._calibration import Calibration, evenly_spaced_indices, from_folder, from_train
from kdcompress.exporting._explanation import Explainer
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._request import ExportRequest
from kdcompress.metrics.finite import check_finite
from kdcompress.models import Forward
from kdcompress.pipeline.reopening import open_data, open_model
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import EXPLANATION, QUANTIZATION, source_of


def explain_run(run: RunFolder, request: ExportRequest, data_dir: Path | None, progress: Progress) -> dict[str, Any]:
    """Explain the int8 files of a run's student, and save that in the run as `explain.json`.

    Args:
        run: Folder of a run with a trained student.
        request: Formats to explain.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives phases, notes and warnings.

    Returns:
        The document that `kdcompress export RUN --explain --json` prints.

    Raises:
        UsageError: The integers of the student are trained.
        RunError: The run has no student yet, or one of its files has changed.
        DataError: The data set cannot be loaded.
        ExportError: No file can be explained.
    """
    start = time.perf_counter()
    check_calibrated(run)
    student, recipe = open_model(run, "student"), read_run_recipe(run)
    dataset = open_data(run, recipe, data_dir, progress)
    network = freeze(student, dataset.input_shape, "the student")
    document, _ = explain_exports(run, network, dataset, recipe, request, progress)
    return {"run": str(run.path), **document, "seconds": round(time.perf_counter() - start, 3)}


def check_calibrated(run: RunFolder) -> None:
    """Check that the int8 files of a run's student are calibrated.

    Args:
        run: The run.

    Raises:
        UsageError: Their integers are trained, so that there is nothing to leave in float behind the training.
    """
    if run.has_file(QUANTIZATION):
        raise UsageError(
            f"--explain and --keep-metric are for calibrated int8 files, and the integers of {source_of(run.path)} are "
            "trained; explain the student that it was made of"
        )


def explain_exports(
    run: RunFolder, network: Network, dataset: Dataset, recipe: Recipe, request: ExportRequest, progress: Progress
) -> tuple[dict[str, Any], ExportRequest]:
    """Explain the int8 files of a request, and save that in the run as `explain.json`.

    Args:
        run: Folder of the run.
        network: Its student, frozen.
        dataset: Its data.
        recipe: Its recipe.
        request: What to export.
        progress: Receives phases, notes and warnings.

    Returns:
        The document, and the request with the chosen float layers where `keep_metric` is set.

    Raises:
        ExportError: No file can be explained, or the limit of `keep_metric` cannot be held.
    """
    calibration = read_calibration(request, dataset, recipe, progress)
    assert calibration is not None
    reference = _validation(network, dataset, recipe, request.parity_samples)
    explainer = Explainer(network, source_of(run.path), reference, calibration.images, progress)
    document, chosen = explainer.explain(request)
    write_document(run / EXPLANATION, document)
    run.commit(EXPLANATION)
    return document, chosen


def read_calibration(
    request: ExportRequest, dataset: Dataset, recipe: Recipe, progress: Progress
) -> Calibration | None:
    """Read the calibration images of a run.

    Args:
        request: What to export.
        dataset: Data of the run.
        recipe: Its recipe.
        progress: Receives notes.

    Returns:
        The images, of training or of the user's folder; None if no file needs them.
    """
    if not request.needs_calibration:
        return None
    if request.calibration is not None:
        samples, settings = request.calibration_samples, dataset.image_settings
        return from_folder(request.calibration, dataset.input_shape, samples, progress, settings)
    return from_train(split_dataset(dataset, recipe.split).train, request.calibration_samples)


def _validation(network: Network, dataset: Dataset, recipe: Recipe, samples: int | None) -> Reference:
    val = split_dataset(dataset, recipe.split).val
    val = val.take(np.asarray(evenly_spaced_indices(len(val), samples), np.int64))
    forward = Forward(network.model)
    logits = forward(val.images)
    check_finite(logits, val.ids, "student")
    return Reference("validation", val.images, val.ids.tolist(), logits, val.labels, list(dataset.classes), forward)
