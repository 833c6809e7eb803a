"""The images that int8 takes the ranges of activations from: of train or of the user's own, never of test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.data import Samples, find_images, image_size, read_image, stratified_subset
from kdcompress.exporting._base import Images
from kdcompress.progress import Progress

SIZE = 200
_SEED = 0


@dataclass(frozen=True)
class Calibration:
    """Images (n, H, W, C) with their ids, and where they are from."""

    source: str
    images: Images
    ids: list[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What the list of exports records."""
        return {"source": self.source, "n": len(self.ids), "ids": self.ids}


def from_train(train: Samples, size: int) -> Calibration:
    """`size` images of a run's training split (or all of a smaller one), each class in its proportion."""
    index = np.arange(len(train))
    chosen = train.take(stratified_subset(index, train.labels, size, _SEED) if size < len(train) else index)
    return Calibration("train", chosen.images[:], chosen.ids.tolist())


def from_folder(folder: Path, input_shape: tuple[int, int, int], size: int, progress: Progress) -> Calibration:
    """`size` of the image files in `folder` (or all of fewer), evenly spread over it; DataError if one is damaged."""
    paths = find_images([folder])
    chosen = [paths[index] for index in evenly_spaced_indices(len(paths), size)]
    height, width = input_shape[:2]
    if (found := image_size(chosen[0])) != (height, width):
        progress.note(f"images of {folder} are scaled to {height}x{width} ({chosen[0].name} has {found[0]}x{found[1]})")
    images = np.stack([read_image(path, input_shape) for path in chosen])
    return Calibration(str(folder), images, [str(path) for path in chosen])


def evenly_spaced_indices(total: int, size: int | None) -> list[int]:
    """`size` indices spread evenly over `total`, or all of them."""
    if size is None or size >= total:
        return list(range(total))
    return [int(index) for index in np.linspace(0, total - 1, size).round()]
