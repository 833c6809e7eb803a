"""Export of a Keras model without a run: it has no labels, so exports are compared on random and user images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import read_image_settings
from kdcompress.errors import ModelError, UsageError
from kdcompress.exporting._base import FP32, INT8
from kdcompress.exporting._calibration import Calibration, from_folder
from kdcompress.exporting._float32 import FLOAT32
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import Reference, report_policy
from kdcompress.exporting._pipeline import Exporter, References
from kdcompress.exporting._request import ExportRequest
from kdcompress.models import (
    Forward,
    declared_shape,
    is_keras_model,
    lacks_rescaling,
    load_saved_model,
    prepare_classifier,
    resolve_image_shape,
)
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import are_probabilities
from kdcompress.verification.costs import cost_of_model

Shape = tuple[int, int, int]
_RANDOM = 64  # images
_SEED = 0
_MIN_IMAGES = 20  # user images below which agreement is inconclusive


def export_file(
    path: Path, out: Path | None, request: ExportRequest, input_shape: Shape | None, progress: Progress
) -> dict[str, Any]:
    """Export a `.keras` file.

    Args:
        path: The file.
        out: Folder to write into; by default NAME-exports in the folder of the file.
        request: What to export.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        progress: Receives notes and warnings.

    Returns:
        The document that `kdcompress export MODEL --json` prints.

    Raises:
        UsageError: The path is not a `.keras` file, or int8 lacks calibration images.
        ModelError: The model cannot be opened or exported.
        ExportError: No file could be written.
    """
    if path.suffix != ".keras":
        raise UsageError(f"export takes a run folder, a .keras file or module:function, and {path} is none of them")
    _check_calibration(request)
    run = RunFolder(path.parent)
    manifest = run.manifest() if run.is_run() else {}
    folder = out or path.with_name(f"{path.stem}-exports")
    return _export(load_saved_model(path), str(path), path.stem, folder, request, input_shape, manifest, progress)


def export_loaded(
    model: Any, name: str, out: Path | None, request: ExportRequest, input_shape: Shape | None, progress: Progress
) -> dict[str, Any]:
    """Export a Keras model in memory.

    Args:
        model: Keras model.
        name: Its name in file names and messages.
        out: Folder to write into; by default NAME-exports in the current folder.
        request: What to export.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        progress: Receives notes and warnings.

    Returns:
        The document that `kdcompress export MODEL --json` prints.

    Raises:
        UsageError: int8 lacks calibration images.
        ModelError: The model cannot be exported.
        ExportError: No file could be written.
    """
    _check_calibration(request)
    if not is_keras_model(model):
        raise UsageError(f"export takes a Keras model, and {name} is of type {type(model).__name__}; give a run")
    return _export(model, name, name, out or Path(f"{name}-exports"), request, input_shape, {}, progress)


def _check_calibration(request: ExportRequest) -> None:
    if request.calibration is None and any(job.precision == INT8 for job in request.jobs):
        raise UsageError("int8 needs images to take its ranges from: give --calibration FOLDER")


def _export(
    model: Any,
    name: str,
    stem: str,
    folder: Path,
    request: ExportRequest,
    input_shape: Shape | None,
    manifest: Mapping[str, Any],
    progress: Progress,
) -> dict[str, Any]:
    start = time.perf_counter()
    shape = resolve_image_shape(declared_shape(model, name), input_shape, name)
    model = prepare_classifier(model, shape, name, progress.note)
    network = freeze(model, shape, name)
    calibration, settings = None, read_image_settings(manifest, name)
    if request.calibration is not None:
        calibration = from_folder(request.calibration, shape, request.calibration_samples, progress, settings)
    samples, classes = request.parity_samples or _RANDOM, manifest.get("classes")
    references = _unlabelled(network.model, shape, calibration, samples, classes)
    if network.policy != FLOAT32:
        reference = references(FP32)
        report_policy(network.policy, name, Forward(model)(reference.images), reference, progress)
    _warn(network.model, name, shape, references(FP32), calibration, progress)
    result = Exporter(network, stem, folder, "", references, calibration, settings.record).execute(request, progress)
    seconds = round(time.perf_counter() - start, 3)
    return {"model": name, "out": str(folder), **result, "seconds": seconds}


def _warn(
    model: Any, name: str, shape: Shape, reference: Reference, calibration: Calibration | None, progress: Progress
) -> None:
    """Warn of what makes an export unreliable or hard to use although it computes what the model does."""
    if are_probabilities(reference.logits):
        progress.warn(f"{name} ends in probabilities: its exports' output `logits` holds probabilities, too")
    if lacks_rescaling(model) or not cost_of_model(model, shape, name).preprocessing_flops:
        progress.warn(
            f"{name} does not scale its pixels itself, and gets values from 0 to 255: if it was trained on scaled "
            "ones, put its scaling inside (keras.layers.Rescaling) before you export it"
        )
    if calibration is not None and len(calibration.ids) < _MIN_IMAGES:
        progress.warn(f"{len(calibration.ids)} images are few to judge agreement by, and fewer for the ranges of int8")


def _unlabelled(
    model: Any, shape: Shape, calibration: Calibration | None, samples: int, classes: list[str] | None
) -> References:
    """Compare fp32 on random and user images, smaller precisions on the user's, for which they are calibrated."""
    random = np.random.default_rng(_SEED).integers(0, 256, (samples, *shape), np.uint8)
    names = [f"random-{index}" for index in range(samples)]
    forward = Forward(model)

    def reference(source: str, images: Any, ids: list[str]) -> Reference:
        logits = forward(images)
        if len(bad := np.flatnonzero(~np.isfinite(logits).all(axis=-1))):
            raise ModelError(
                f"the model's outputs for {ids[bad[0]]} are not finite (NaN or infinite): there is nothing to compare "
                "exports with; its weights are damaged, or it expects other pixels than 0 to 255"
            )
        n = logits.shape[-1]
        class_names = classes if classes and len(classes) == n else [str(index) for index in range(n)]
        return Reference(source, images, ids, logits, None, class_names, forward)

    if calibration is None:
        noise = reference("random images", random, names)
        return lambda precision: noise
    user = reference("given images", calibration.images, calibration.ids)
    images, ids = np.concatenate([random, calibration.images]), [*names, *calibration.ids]
    combined = reference("random and given images", images, ids)
    return lambda precision: combined if precision == FP32 else user
