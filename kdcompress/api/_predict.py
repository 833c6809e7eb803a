"""`predict`: classes of image files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kdcompress.errors import DataError
from kdcompress.notebook import for_notebooks
from kdcompress.progress import Progress
from kdcompress.runs.schemas import Prediction
from kdcompress.trust import trusting_code


@for_notebooks
def predict(
    model: str | Path,
    images: Iterable[str | Path],
    *,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Classify image files with a model.

    Args:
        model: Model file of any format that `export` writes, or a run folder, whose student is used.
        images: Image files, and folders that are searched for images.
        trust_code: Whether code that comes with the run or the file may be executed.
        progress: Listener of notes, such as on files of folders that are not used.

    Returns:
        The path, the most probable class and its probability in [0, 1] of each image.

    Raises:
        ModelError: The model cannot be opened or run.
        DataError: Names the first image that cannot be read.
    """
    predictions, refused = predict_files(Path(model), [Path(image) for image in images], trust_code, progress)
    if refused:
        raise DataError(next(iter(refused.values())))
    return predictions


def predict_files(
    model: Path, images: list[Path], trust_code: bool = False, progress: Progress | None = None
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
        opened = prediction.open_model(model)
        rows, refused = prediction.predict(opened, find_images(images, progress))
    return [Prediction.of(row) for row in rows], refused
