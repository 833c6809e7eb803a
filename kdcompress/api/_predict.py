"""`predict`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kdcompress.errors import DataError
from kdcompress.runs.schemas import Prediction
from kdcompress.trust import trusting_code


def predict(model: str | Path, images: Iterable[str | Path], *, trust_code: bool = False) -> list[Prediction]:
    """Classify image files with a model.

    Args:
        model: A model file of any kind that `export` writes, or a run folder (its student then).
        images: Image files, and folders that are searched for them.
        trust_code: Let code run that came with the run or the file.

    Returns:
        For each image its path, the most likely class, and the probability of that, 0 to 1.

    Raises:
        ModelError: The model cannot be opened or run.
        DataError: An image cannot be read; it names the first.
    """
    predictions, refused = predict_files(Path(model), [Path(image) for image in images], trust_code)
    if refused:
        raise DataError(next(iter(refused.values())))
    return predictions


def predict_files(model: Path, images: list[Path], trust_code: bool = False) -> tuple[list[Prediction], dict[str, str]]:
    """As `predict`, with the images that cannot be read given back, path to reason, beside the predictions."""
    from kdcompress import prediction
    from kdcompress.data import find_images

    paths = find_images(images)
    with trusting_code(trust_code):
        rows, refused = prediction.predict(prediction.open_model(model), paths)
    return [Prediction.of(row) for row in rows], refused
