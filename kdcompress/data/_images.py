"""Image files: finding them, and reading them as pixels of the size a model takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kdcompress.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


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


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file, upright; DataError if it is none."""
    with _upright(path) as image:
        return image.height, image.width


def read_image(path: Path, input_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """An image file as (H, W, C) pixels, upright, converted and scaled to `input_shape`; DataError if it is none."""
    height, width, channels = input_shape
    with _upright(path) as image:
        converted = image.convert(MODES[channels])
        if converted.size != (width, height):
            converted = converted.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(converted, np.uint8).reshape(input_shape)


@contextmanager
def _upright(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield ImageOps.exif_transpose(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as exc:
        raise DataError(f"{path} is truncated, damaged or no image ({exc})") from exc
