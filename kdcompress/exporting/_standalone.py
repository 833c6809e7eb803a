"""The exports of a Keras model on its own: there are no labels, so it is compared on random and on given images."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.errors import ModelError, UsageError
from kdcompress.exporting._base import FP32
from kdcompress.exporting._calibration import Calibration, from_folder
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._pipeline import Exporter, References
from kdcompress.exporting._request import ExportRequest
from kdcompress.models import Forward, declared_shape, load_saved_model, resolve_image_shape
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.teachers import are_probabilities
from kdcompress.verification.costs import cost_of_model

Shape = tuple[int, int, int]
_RANDOM = 64  # images
_SEED = 0
_FEW = 20  # given images, below which agreement says little


def export_file(
    path: Path, out: Path | None, request: ExportRequest, input_shape: Shape | None, progress: Progress
) -> dict[str, Any]:
    """Export a `.keras` file into `out` (by default NAME-exports beside it); see `export_loaded`."""
    if path.suffix != ".keras":
        raise UsageError(f"export takes a run folder, a .keras file or module:function, and {path} is none of them")
    _need_images(request)
    run = RunFolder(path.parent)
    classes = run.manifest().get("classes") if run.is_run() else None
    folder = out or path.with_name(f"{path.stem}-exports")
    return _export(load_saved_model(path), str(path), path.stem, folder, request, input_shape, classes, progress)


def export_loaded(
    model: Any, name: str, out: Path | None, request: ExportRequest, input_shape: Shape | None, progress: Progress
) -> dict[str, Any]:
    """Export a Keras model in memory into `out` (by default NAME-exports in the current folder).

    Errors: ModelError; UsageError for int8 without images to calibrate with; ExportError if no file could be made.
    """
    _need_images(request)
    return _export(model, name, name, out or Path(f"{name}-exports"), request, input_shape, None, progress)


def _need_images(request: ExportRequest) -> None:
    if request.needs_calibration and request.calibration is None:
        raise UsageError("int8 needs images to take its ranges from: give --calibration FOLDER")


def _export(
    model: Any,
    what: str,
    stem: str,
    folder: Path,
    request: ExportRequest,
    input_shape: Shape | None,
    classes: list[str] | None,
    progress: Progress,
) -> dict[str, Any]:
    start = time.perf_counter()
    shape = resolve_image_shape(declared_shape(model, what), input_shape, what)
    network = freeze(model, shape, what)
    given = None
    if request.calibration is not None:
        given = from_folder(request.calibration, shape, request.calibration_samples, progress)
    references = _unlabelled(model, shape, given, request.parity_samples or _RANDOM, classes)
    _warn(model, what, shape, references(FP32), given, progress)
    result = Exporter(network, stem, folder, "", references, given, {}).execute(request, progress)
    seconds = round(time.perf_counter() - start, 3)
    return {"model": what, "out": str(folder), **result, "seconds": seconds}


def _warn(
    model: Any, what: str, shape: Shape, reference: Reference, given: Calibration | None, progress: Progress
) -> None:
    """Say what makes files that compute the same of little use."""
    if are_probabilities(reference.logits):
        progress.warn(f"{what} ends in probabilities: its exports' output `logits` holds probabilities, too")
    if not cost_of_model(model, shape, what).preprocessing_flops:
        progress.warn(
            f"{what} does not scale its pixels itself, and is given 0 to 255: if it was trained on scaled ones, "
            "put its scaling inside (keras.layers.Rescaling) before you export it"
        )
    if given is not None and len(given.ids) < _FEW:
        progress.warn(f"{len(given.ids)} given images say little about agreement, and less about int8's ranges")


def _unlabelled(
    model: Any, shape: Shape, given: Calibration | None, samples: int, classes: list[str] | None
) -> References:
    """Random images and the given ones for fp32; the given alone for smaller precisions, whose ranges are theirs."""
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
        known = classes if classes and len(classes) == n else [str(index) for index in range(n)]
        return Reference(source, images, ids, logits, None, known)

    if given is None:
        noise = reference("random images", random, names)
        return lambda precision: noise
    seen = reference("given images", given.images, given.ids)
    images, ids = np.concatenate([random, given.images]), [*names, *given.ids]
    both = reference("random and given images", images, ids)
    return lambda precision: both if precision == FP32 else seen
