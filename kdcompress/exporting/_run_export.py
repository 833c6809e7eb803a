"""Export of a run's student."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.data import Dataset
from kdcompress.errors import RunError
from kdcompress.exporting._calibration import evenly_spaced_indices
from kdcompress.exporting._float32 import FLOAT32
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference, report_policy
from kdcompress.exporting._pipeline import LIST, Exporter
from kdcompress.exporting._request import ExportRequest
from kdcompress.exporting._run_explain import check_calibrated, explain_exports, read_calibration
from kdcompress.metrics.finite import check_finite
from kdcompress.models import Forward
from kdcompress.pipeline.reopening import open_data, open_model
from kdcompress.progress import Progress
from kdcompress.quantization import Quantization
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import EXPORTS, QUANTIZATION
from kdcompress.runs.outputs import read_test_outputs
from kdcompress.runs.schemas import versioned


def export_run(run: RunFolder, request: ExportRequest, data_dir: Path | None, progress: Progress) -> dict[str, Any]:
    """Export the student of a run into its `exports` folder, compared on the test split.

    Args:
        run: Folder of a run with a trained student.
        request: What to export.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes and warnings.

    Returns:
        The document that `kdcompress export RUN --json` prints.

    Raises:
        RunError: The run has no student yet, or one of its files has changed.
        DataError: The data set cannot be loaded.
        ExportError: No file could be written.
    """
    start = time.perf_counter()
    folder = (run / EXPORTS).name  # raises for a link that leads out of the run
    student, recipe = open_model(run, "student"), read_run_recipe(run)
    dataset = open_data(run, recipe, data_dir, progress)
    trained = Quantization.load(run / QUANTIZATION) if run.has_file(QUANTIZATION) else None
    network = freeze(student, dataset.input_shape, "the student", quantization=trained)
    explanation = None
    if request.keep_metric is not None:
        check_calibrated(run)
        explanation, request = explain_exports(run, network, dataset, recipe, request, progress)
    reference = _reference(run, dataset, request.parity_samples, network, progress)
    facts = {key: dataset.facts[key] for key in ("name", "source")}
    provenance = {"dataset": facts, "recipe": recipe.digest, **dataset.image_settings.record}
    exporter = Exporter(
        network,
        "student",
        run.path,
        folder,
        lambda precision: reference,
        None if trained else read_calibration(request, dataset, recipe, progress),
        provenance,
    )

    def commit(path: Path) -> None:
        files = [item for item in path.rglob("*") if item.is_file()] if path.is_dir() else [path]
        run.drop_missing(EXPORTS)
        for item in (*files, run / EXPORTS / LIST):
            run.commit(str(item.relative_to(run.path)))

    result = exporter.execute(request, progress, commit)
    seconds = round(time.perf_counter() - start, 3)
    return {"run": str(run.path), **result, "seconds": seconds, "explanation": explanation and versioned(explanation)}


def _reference(
    run: RunFolder, dataset: Dataset, samples: int | None, network: Network, progress: Progress
) -> Reference:
    outputs = read_test_outputs(run)
    if not np.array_equal(outputs.ids, dataset.test.ids):
        raise RunError(f"the test images of run {run.path} are not those of its data set now")
    ids, classes = outputs.ids.tolist(), list(dataset.classes)
    check_finite(outputs.logits["student"], outputs.ids, "student")
    forward, logits = Forward(network.model), outputs.logits["student"]
    reference = Reference("test", dataset.test.images, ids, logits, outputs.labels, classes, forward)
    if samples:
        reference = reference.take(evenly_spaced_indices(len(ids), samples))
    if network.policy == FLOAT32:
        return reference
    rebuilt = replace(reference, logits=forward(reference.images))
    check_finite(rebuilt.logits, np.array(rebuilt.ids), "student in float32")
    report_policy(network.policy, "the student", reference.logits, rebuilt, progress)
    return rebuilt
