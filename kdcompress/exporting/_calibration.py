"""Calibration images for int8 quantisation: training images or the user's own, never test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.data import Samples, find_images, image_size, read_image, stratified_subset
from kdcompress.exporting._base import Images
from kdcompress.progress import Progress

SIZE = 200
_SEED = 0


@dataclass(frozen=True)
class Calibration:
    """Calibration images.

    Attributes:
        source: "train" or the path of a folder.
        images: Raw pixels, (n, H, W, C).
        ids: IDs of the images.
    """

    source: str
    images: Images
    ids: list[str]

    @property
    def summary(self) -> dict[str, Any]:
        """Entry for the list of exports."""
        return {"source": self.source, "n": len(self.ids), "ids": self.ids}


def from_train(train: Samples, size: int) -> Calibration:
    """Draw calibration images from the training split, stratified by class.

    Args:
        train: Training split of a run.
        size: Number of images; all of a smaller split are used.

    Returns:
        The images.
    """
    index = np.arange(len(train))
    chosen = train.take(stratified_subset(index, train.labels, size, _SEED) if size < len(train) else index)
    return Calibration("train", chosen.images[:], chosen.ids.tolist())


def from_folder(
    folder: Path,
    input_shape: tuple[int, int, int],
    size: int,
    progress: Progress,
    settings: ImageSettings = DEFAULT_IMAGE_SETTINGS,
) -> Calibration:
    """Read calibration images from a folder, evenly spaced over its files.

    Args:
        folder: Folder of image files.
        input_shape: (H, W, C) to which they are scaled.
        size: Number of images; all are used if there are fewer.
        progress: Receives a note if images are scaled.
        settings: How they are converted to pixels.

    Returns:
        The images.

    Raises:
        DataError: There are no images, or one is damaged.
    """
    paths = find_images([folder], progress)
    chosen = [paths[index] for index in evenly_spaced_indices(len(paths), size)]
    height, width = input_shape[:2]
    if (size_of_first := image_size(chosen[0])) != (height, width):
        original = "x".join(map(str, size_of_first))
        progress.note(f"images of {folder} are scaled to {height}x{width} ({chosen[0].name} has {original})")
    images = np.stack([read_image(path, input_shape, settings) for path in chosen])
    return Calibration(str(folder), images, [str(path) for path in chosen])


def evenly_spaced_indices(total: int, size: int | None) -> list[int]:
    """Choose evenly spaced indices.

    Args:
        total: Number of items.
        size: Number of indices; None or a larger number chooses all.

    Returns:
        Ascending indices in [0, total).
    """
    if size is None or size >= total:
        return list(range(total))
    return [int(index) for index in np.linspace(0, total - 1, size).round()]
