"""Prediction of the classes of image files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.images import read_image_settings
from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.data import MODES, read_image, resize_images
from kdcompress.data.array_pixels import check_pixels
from kdcompress.data.scaled import scale_images
from kdcompress.errors import DataError, MissingExtraError, ModelError
from kdcompress.exporting import PRECISIONS, ExportedModel, find_format, make_format, open_exported
from kdcompress.files import valid_utf8, write_text
from kdcompress.metrics.softmax import softmax
from kdcompress.missing import WHOLE, is_installed, missing_package, remedy_for
from kdcompress.models import (
    Forward,
    check_image_size,
    check_keras_model,
    declared_shape,
    load_saved_model,
    prepare_classifier,
)
from kdcompress.progress import Progress
from kdcompress.registry import choices
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import EXPORTS, RECIPE, source_of
from kdcompress.runs.students import judged_student
from kdcompress.teachers import are_probabilities, inspect_outputs, with_both_classes

_BATCH = 64
_KERAS = ("keras", "tensorflow")  # and its backend
_PROBES, _SEED = 32, 0


def open_model(source: Any, progress: Progress | None = None) -> ExportedModel:
    """Open a model for prediction.

    Args:
        source: Path of a `.keras` file, of a run (whose student is opened; where Keras is not installed, an export of
            it), or of an exported file; or a Keras model in memory.
        progress: Hears which export stands for a student.

    Returns:
        The model.

    Raises:
        ModelError: It is none of these, or the model does not take images of one fixed size.
        MissingExtraError: Keras is not installed, and the run has no export that a runtime here opens.
    """
    if not isinstance(source, str | Path):
        check_keras_model(source)
        return _from_keras(source)
    path = judged_student(source)
    if find_format(path):
        model = open_exported(path)
        check_image_size(model.input_shape, str(path))
        if model.input_shape[2] not in MODES:
            shape = "x".join(map(str, model.input_shape))
            raise ModelError(
                f"{path} takes images of {shape}; predict runs models that take raw pixels as H x W x C, C 1, 3 or 4"
            )
        return model
    if path.is_dir():
        if not RunFolder(path).is_run():
            raise ModelError(f"{path} is a folder, but neither a run nor a SavedModel; name a model file or a run")
        return _open_student(RunFolder(path), progress or Progress())
    return _from_keras(load_saved_model(path), RunFolder(path.parent))


def _open_student(run: RunFolder, progress: Progress) -> ExportedModel:
    """Open the student of a run, or the export that is nearest to it where Keras is not installed."""
    if all(map(is_installed, _KERAS)):
        from kdcompress.pipeline.reopening import open_model

        return _from_keras(open_model(run, "student"), run)
    exports = _exports(run)
    if not exports:
        raise MissingExtraError(
            f"run {run.path} has no exports, and its student.keras needs {remedy_for('keras')}; or make exports where "
            f"Keras is: kdcompress export {source_of(run.path)}"
        )
    errors = []
    for path in exports:
        try:
            model = open_exported(path)
        except ImportError as exc:
            errors.append(missing_package(exc, f"{path} stands for student.keras here, and") or exc)
            continue
        progress.note(f"Keras is not installed here: {path} stands for student.keras")
        return model
    raise min(errors, key=lambda error: str(error).endswith(WHOLE))  # a runtime is smaller than TensorFlow


def _exports(run: RunFolder) -> list[Path]:
    """The exports of a run's student, those that are nearest to it first."""
    suffixes = [make_format(name).suffix for name in choices("formats")]
    paths = [run / f"{EXPORTS}/student-{precision}{suffix}" for precision in PRECISIONS for suffix in suffixes]
    return [path for path in paths if path.exists()]


def _from_keras(model: Any, run: RunFolder | None = None) -> ExportedModel:
    manifest = run.manifest() if run and run.is_run() else {}
    height, width, channels = declared_shape(model, "the model") or manifest.get("input_shape") or (None, None, None)
    if height is None or width is None or channels not in (1, 3, 4):
        raise ModelError(
            f"the model takes images of {height or '?'}x{width or '?'}x{channels or '?'}; "
            "predict needs one fixed size with 1, 3 or 4 channels"
        )
    check_image_size((height, width, channels), "the model")
    model = prepare_classifier(model, (height, width, channels), "the model")
    settings = read_image_settings(manifest, str(run.path) if run else "the model")
    return ExportedModel(Forward(model), (height, width, channels), manifest.get("classes"), settings)


def predict(model: ExportedModel, paths: list[Path]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Predict the classes of image files.

    Args:
        model: The model; its outputs are logits or probabilities.
        paths: Image files.

    Returns:
        Rows with `image`, `class` and `probability`, and errors by path for the files that cannot be read.

    Raises:
        ModelError: The outputs are not finite, or not one row of numbers per image.
    """
    rows: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    for begin in range(0, len(paths), _BATCH):
        images, names = [], []
        for path in paths[begin : begin + _BATCH]:
            try:
                images.append(read_image(path, model.input_shape, model.image_settings))
                names.append(str(path))
            except DataError as exc:
                errors[str(path)] = str(exc)
        if images:
            rows += _classify(model, np.stack(images), names)
    return rows, errors


def predict_array(model: ExportedModel, images: NDArray[Any], scale: float | None) -> list[dict[str, Any]]:
    """Predict the classes of an array of images.

    Args:
        model: The model; its outputs are logits or probabilities.
        images: (n, H, W, C) or (n, H, W), or one image (H, W, C) or (H, W), uint8 or, with a scale, of any numbers.
        scale: Factor from the numbers to pixels of 0 to 255; None for pixels.

    Returns:
        Rows with `image`, the index as text, `class` and `probability`.

    Raises:
        DataError: The array is none of images.
        ModelError: The outputs are not finite, or not one row of numbers per image.
    """
    if images.ndim == 2 or tuple(images.shape) == tuple(model.input_shape):
        images = images[None]
    check_pixels({"images": images}, "predict", scale=scale)
    batches = images.reshape(*images.shape[:3], -1)
    (scaled,) = scale_images([batches], scale, "predict", Progress(log=False))
    resized = resize_images(scaled, model.input_shape, model.image_settings.resize)
    rows = []
    for begin in range(0, len(images), _BATCH):
        names = [str(index) for index in range(begin, min(begin + _BATCH, len(images)))]
        rows += _classify(model, np.asarray(resized[begin : begin + _BATCH]), names)
    return rows


def array_scale(run: RunFolder) -> float | None:
    """Look up the factor of a run's arrays of images.

    Args:
        run: The run, or the folder of any model.

    Returns:
        The setting `data.scale` of a run on arrays; else None.
    """
    if not run.is_run():
        return None
    data = read_resolved_recipe(run / RECIPE).data
    scale: float | None = getattr(data, "scale", None) if data.name == "arrays" else None
    return scale


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write predictions as CSV in UTF-8, atomically; bytes of names that are not UTF-8 become escapes such as \\xe4.

    Args:
        path: File to write.
        rows: Rows with `image`, `class` and `probability`.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, ["image", "class", "probability"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, valid_utf8(text.getvalue()))


def _classify(model: ExportedModel, images: NDArray[np.uint8], names: list[str]) -> list[dict[str, Any]]:
    outputs = model.run(images).astype(np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(outputs).reshape(len(outputs), -1).all(axis=-1))):
        raise ModelError(
            f"the model's outputs for {names[bad[0]]} are not finite (NaN or infinite); its weights are damaged, or it "
            "expects other pixels than 0 to 255"
        )
    if outputs.ndim != 2:
        raise ModelError(f"the model gives {outputs.shape[1:]} numbers an image; it must give one logit for each class")
    if outputs.shape[1] == 1:
        outputs = _both_classes(model, outputs)
    if not are_probabilities(outputs):
        outputs = softmax(outputs)
    predicted = outputs.argmax(axis=-1)
    n = outputs.shape[-1]
    classes = model.classes if model.classes and len(model.classes) == n else [str(index) for index in range(n)]
    rows = zip(names, predicted, outputs, strict=True)
    return [{"image": name, "class": classes[index], "probability": float(row[index])} for name, index, row in rows]


def _both_classes(model: ExportedModel, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert single outputs to logits of two classes; they are sigmoids if those of random images are, too."""
    noise = np.random.default_rng(_SEED).integers(0, 256, (_PROBES, *model.input_shape), np.uint8)
    reading = inspect_outputs(np.concatenate([outputs, model.run(noise)]))
    return with_both_classes(reading.to_logits(outputs)).astype(np.float64)
