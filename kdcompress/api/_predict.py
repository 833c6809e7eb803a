"""`predict`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress.errors import DataError
from kdcompress.trust import trusting_code


def predict(model: str | Path, images: Iterable[str | Path], *, trust_code: bool = False) -> list[dict[str, Any]]:
    """{"image", "class", "probability"} for image files and folders, by a .keras file or a run's student.

    `trust_code` lets code run that came with the run or the file.

    Errors: ModelError; DataError names the first image that cannot be read.
    """
    rows, refused = predict_files(Path(model), [Path(image) for image in images], trust_code)
    if refused:
        raise DataError(next(iter(refused.values())))
    return rows


def predict_files(
    model: Path, images: list[Path], trust_code: bool = False
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """As `predict`, with the images that cannot be read given back, path to reason, beside the predictions."""
    from kdcompress import prediction
    from kdcompress.data import find_images

    paths = find_images(images)
    with trusting_code(trust_code):
        return prediction.predict(prediction.open_model(model), paths)
