"""Predictions for image files: decode, fit to the model's input, name the classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kdcompress.errors import DataError, ModelError
from kdcompress.files import write_text
from kdcompress.models import Forward, load_saved_model
from kdcompress.run import MANIFEST, RunFolder
from kdcompress.teachers import are_probabilities

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_BATCH = 64


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The image files named, and those in the folders named, sorted by path; DataError for a missing or empty one."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and item.is_file())
            if not inside:
                raise DataError(f"folder {path} holds no images ({', '.join(SUFFIXES)})")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path} does not exist")
    return found


def read_image(path: Path, input_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An image file as (H, W, C) pixels, upright, converted and scaled to `input_shape`; DataError if it is none."""
    height, width, channels = input_shape
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert(_MODES[channels])
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise DataError(f"{path} is truncated, damaged or no image ({exc})") from exc
    if upright.size != (width, height):
        upright = upright.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(upright, np.uint8).reshape(input_shape)


def open_model(path: Path) -> tuple[Any, list[str] | None]:
    """A model and its class names (None if unknown), from a .keras file or a run folder (its student)."""
    if path.is_dir():
        if not (path / MANIFEST).is_file():
            raise ModelError(f"{path} is a folder, but no run folder; name a .keras file or a run")
        path = path / "student.keras"
        if not path.is_file():
            raise ModelError(f"run {path.parent} has no student yet; `kdcompress distill` makes it")
    model = load_saved_model(path)
    run = RunFolder(path.parent)
    return model, run.manifest().get("classes") if run.begun() else None


def predict(model: Any, classes: list[str] | None, paths: list[Path]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """({"image", "class", "probability"} for each readable file, reasons by path for the others).

    The probability is the softmax of the largest logit (a model that ends in probabilities is taken as it is).
    """
    input_shape, forward = _image_shape(model), Forward(model)
    rows: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for begin in range(0, len(paths), _BATCH):
        images, names = [], []
        for path in paths[begin : begin + _BATCH]:
            try:
                images.append(read_image(path, input_shape))
                names.append(str(path))
            except DataError as exc:
                refused[str(path)] = str(exc)
        if images:
            rows += _classify(forward, classes, np.stack(images), names)
    return rows, refused


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write predictions as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["image", "class", "probability"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _classify(
    forward: Forward, classes: list[str] | None, images: NDArray[np.uint8], names: list[str]
) -> list[dict[str, Any]]:
    outputs = forward(images).astype(np.float64)
    if not are_probabilities(outputs):
        outputs = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        outputs /= outputs.sum(axis=-1, keepdims=True)
    best = outputs.argmax(axis=-1)
    known = classes if classes and len(classes) == outputs.shape[-1] else [str(i) for i in range(outputs.shape[-1])]
    rows = zip(names, best, outputs, strict=True)
    return [{"image": name, "class": known[index], "probability": float(row[index])} for name, index, row in rows]


def _image_shape(model: Any) -> tuple[int, int, int]:
    shape = tuple(getattr(model, "input_shape", None) or ())[1:]
    if len(shape) != 3 or None in shape or shape[-1] not in _MODES:
        raise ModelError(f"the model takes {shape or 'an unknown input'}; predict needs one fixed image size (H, W, C)")
    return shape
