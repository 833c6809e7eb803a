"""Hugging Face datasets.Dataset with a column of images and one of classes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import ImageSettings
from kdcompress.config.settings import build_section
from kdcompress.data.images import GREY_MODES
from kdcompress.data.opening import open_image
from kdcompress.data.pixels import Shape, convert
from kdcompress.digests import json_digest
from kdcompress.errors import DataError, UsageError
from kdcompress.intake._base import Intake, Kind, is_of
from kdcompress.intake._store import ArrayWriter, store
from kdcompress.progress import Progress

_IMAGE_SETTINGS = ("background", "resize", "scale")


class HuggingFace(Kind):
    """A Dataset of the library `datasets`, whose fingerprint tells whether it was written before."""

    def accepts(self, data: Any) -> bool:
        """Return whether data are a datasets.Dataset; see `Kind.accepts`."""
        return is_of(data, "datasets") and hasattr(data, "features") and hasattr(data, "cast_column")

    def take_in(
        self, parts: Mapping[str, Any], classes: list[str] | None, settings: Mapping[str, Any], progress: Progress
    ) -> Intake:
        """Decode the images into npy files, which are mapped; see `Kind.take_in`."""
        image, label = _columns(next(iter(parts.values())).features)
        names = classes or list(getattr(next(iter(parts.values())).features[label], "names", None) or []) or None
        size = settings.get("size")
        own = {key: settings[key] for key in _IMAGE_SETTINGS if key in settings}
        image_settings = build_section(ImageSettings, own, "data")
        key = {
            "fingerprints": {part: dataset._fingerprint for part, dataset in parts.items()},
            "columns": [image, label],
            "classes": names,
            "settings": {**own, "size": size},
        }

        def write(folder: Path) -> None:
            undecoded = {part: _undecoded(dataset, image) for part, dataset in parts.items()}
            shape = _find_shape(undecoded, image, size)
            for part, dataset in undecoded.items():
                writer = _Writer(image, label, shape, image_settings)
                writer.write(dataset, folder, f"_{part}" if part else "", progress)
            if names is not None:
                np.save(folder / "classes.npy", np.array(names))

        folder = store(json_digest(key), write, progress)
        rest = {name: value for name, value in settings.items() if name not in (*_IMAGE_SETTINGS, "size")}
        return Intake({"name": "arrays", **rest, "dir": str(folder)}, folder)


KIND = HuggingFace()


class _Writer:
    """Writes the images and labels of a part."""

    def __init__(self, image: str, label: str, shape: Shape, settings: ImageSettings) -> None:
        self.image, self.label, self.shape, self.settings = image, label, shape, settings

    def write(self, dataset: Any, folder: Path, suffix: str, progress: Progress) -> None:
        labels = list(dataset[self.label])
        if not labels:
            raise DataError(f"data: the datasets.Dataset{f' of {suffix[1:]}' if suffix else ''} has no images")
        if None in labels:
            raise DataError(f"data: image {labels.index(None):,}{suffix.replace('_', ' of ')} has no label")
        np.save(folder / f"y{suffix}.npy", np.array(labels))
        writer = ArrayWriter(folder / f"x{suffix}.npy")
        progress.begin(f"reading data{suffix.replace('_', ', ')}", len(labels))
        try:
            for number, row in enumerate(dataset, start=1):
                source, path = _source(row[self.image], number - 1)
                with open_image(source, path) as opened:
                    writer.append(convert(opened, self.shape, self.settings)[None])
                progress.step(number, {})
        finally:
            progress.end()
            writer.close()


def _columns(features: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the columns of images and of classes."""
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    labels = labels or [name for name in ("label", "labels") if name in kinds]
    if not images or not labels:
        columns = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())[:200]
        raise UsageError(
            "data: a datasets.Dataset must have a column of images (datasets.Image) and one of classes "
            f"(datasets.ClassLabel, or named label); this one has {columns}"
        )
    return images[0], labels[0]


def _undecoded(dataset: Any, column: str) -> Any:
    """The data set with encoded images in a column."""
    return dataset.cast_column(column, type(dataset.features[column])(decode=False))


def _source(image: Any, number: int) -> tuple[Path | io.BytesIO, Path]:
    """What is opened, and its name for messages."""
    if not isinstance(image, Mapping) or (image.get("bytes") is None and not image.get("path")):
        raise DataError(f"data: row {number:,} has no image")
    path = Path(image.get("path") or f"image {number:,}")
    return (path if image.get("bytes") is None else io.BytesIO(image["bytes"])), path


def _find_shape(parts: Mapping[str, Any], column: str, size: Any) -> Shape:
    """Height, width and channels of all images: those that are set, or those of the images if they agree."""
    sizes, grey = set(), True
    for dataset in parts.values():
        for number, image in enumerate(dataset[column]):
            source, path = _source(image, number)
            with open_image(source, path) as opened:
                sizes.add((opened.image.height, opened.image.width))
                grey = grey and opened.image.mode in GREY_MODES
    if size is None and len(sizes) > 1:
        shown = " and ".join(f"{height}x{width}" for height, width in sorted(sizes)[:: len(sizes) - 1])
        raise UsageError(
            f"data: images have {len(sizes):,} sizes from {shown}; a model takes one: settings={{'data.size': 96}} "
            "resizes them"
        )
    height, width = sizes.pop() if size is None else (size if isinstance(size, list | tuple) else (size, size))
    return height, width, 1 if grey else 3
