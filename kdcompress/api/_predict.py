"""`predict`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress.errors import DataError


def predict(model: str | Path, images: Iterable[str | Path]) -> list[dict[str, Any]]:
    """{"image", "class", "probability"} for image files and folders, by a .keras file or a run's student.

    Errors: ModelError; DataError names the first image that cannot be read.
    """
    rows, refused = predict_files(Path(model), [Path(image) for image in images])
    if refused:
        raise DataError(next(iter(refused.values())))
    return rows


def predict_files(model: Path, images: list[Path]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """As `predict`, with the images that cannot be read given back, path to reason, beside the predictions."""
    from kdcompress import prediction
    from kdcompress.data import find_images

    paths = find_images(images)
    return prediction.predict(prediction.open_model(model), paths)
