"""`predict`: classes of image files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.api._source import Run
from kdcompress.api._verb import verb
from kdcompress.errors import DataError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Prediction, PredictionList
from kdcompress.runs.students import judged_student
from kdcompress.trust import trusting_code


@verb
def predict(
    model: str | Path | Run | Any,
    images: str | Path | Iterable[str | Path] | NDArray[Any],
    *,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Classify images with a model.

    Args:
        model: A run or its folder, whose student is used; a model file of any format that `export` writes; or a Keras
            model in memory.
        images: Image files, and folders that are searched for images; or an array of images, (n, H, W, C) or (n, H, W),
            or of one, in the pixels or numbers of the run's data. Other sizes are resized.
        trust_code: Whether code that comes with the run or the file may be executed.
        progress: Listener of notes, such as on files of folders that are not used.

    Returns:
        The path (or index) of each image, its most probable class and the probability of that, in [0, 1].

    Raises:
        ModelError: The model cannot be opened or run.
        DataError: Names the first image that cannot be read.
    """
    source = model.path if isinstance(model, Run) else model
    if hasattr(images, "__array__"):
        return _predict_array(source, np.asarray(images), trust_code)
    paths = [images] if isinstance(images, str | Path) else list(images)
    if wrong := [path for path in paths if not isinstance(path, str | Path)]:
        raise UsageError(f"images are paths, or one array of them all, got a {type(wrong[0]).__name__} among them")
    predictions, refused = predict_files(source, [Path(path) for path in paths], trust_code, progress)
    if refused:
        raise DataError(next(iter(refused.values())))
    return predictions


def _predict_array(source: Any, images: NDArray[Any], trust_code: bool) -> list[Prediction]:
    from kdcompress import prediction

    with trusting_code(trust_code):
        model = prediction.open_model(source)
        scale = prediction.array_scale(RunFolder(judged_student(source))) if isinstance(source, str | Path) else None
        return PredictionList(Prediction.of(row) for row in prediction.predict_array(model, images, scale))


def predict_files(
    model: Any, images: list[Path], trust_code: bool = False, progress: Progress | None = None
) -> tuple[list[Prediction], dict[str, str]]:
    """Classify image files, skipping those that cannot be read.

    Args:
        model: As for `predict`.
        images: As for `predict`.
        trust_code: As for `predict`.
        progress: As for `predict`.

    Returns:
        (predictions, reasons by path for the images that cannot be read).

    Raises:
        ModelError: The model cannot be opened or run.
    """
    from kdcompress import prediction
    from kdcompress.data import find_images

    with trusting_code(trust_code):
        opened = prediction.open_model(model, progress)
        rows, refused = prediction.predict(opened, find_images(images, progress))
    return PredictionList(Prediction.of(row) for row in rows), refused
