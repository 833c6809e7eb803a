"""Decoding of image files to a model's input size."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.data.opening import OpenedImage, open_image
from kdcompress.data.pixels import DEEP_MODES, Shape, convert, to_8_bit, with_alpha
from kdcompress.errors import DataError

_MIN_VALUES = 16  # per image in an array
# Modes without colour
GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")


class ImageInfo(NamedTuple):
    """Properties of an image file.

    Attributes:
        height: Height in pixels, upright.
        width: Width in pixels, upright.
        grey: Whether it has no colour.
        kind: Pillow's mode, followed by ";16" for 16 bits per channel.
        clear: Whether any pixel is transparent.
        pixels: Digest of the pixels as 8-bit RGB, on white.
        look: Perceptual hash of 256 bits in hex, which hardly changes with size and compression.
        lowest: Lowest of its numbers.
        highest: Highest of its numbers.
        white: The number that is white; 0 if that is not known.
    """

    height: int
    width: int
    grey: bool
    kind: str
    clear: bool
    pixels: str
    look: str
    lowest: int
    highest: int
    white: int


def image_size(path: Path) -> tuple[int, int]:
    """Read the size of an image file.

    Args:
        path: The file.

    Returns:
        Height and width in pixels, upright.

    Raises:
        DataError: If it is not a readable image.
    """
    with open_image(path, path) as opened:
        return opened.image.height, opened.image.width


def read_image(path: Path, input_shape: Shape, settings: ImageSettings = DEFAULT_IMAGE_SETTINGS) -> NDArray[np.uint8]:
    """Read an image file.

    Args:
        path: The file.
        input_shape: (H, W, C) to which it is converted and resized (bilinear).
        settings: How it is converted.

    Returns:
        Pixels, (H, W, C), upright.

    Raises:
        DataError: If it is not a readable image.
    """
    with open_image(path, path) as opened:
        return convert(opened, input_shape, settings)


def check_image_values(shape: tuple[int, ...], source: str) -> None:
    """Check that the images of an array are not so tiny that a small file could contain billions of them.

    Args:
        shape: (n, H, W) or (n, H, W, C).
        source: File and array, for messages.

    Raises:
        DataError: If an image has fewer than 16 values.
    """
    if (size := math.prod(shape[1:])) < _MIN_VALUES:
        raise DataError(
            f"{source} holds images of {size} values each, got {shape}; they must have {_MIN_VALUES} or more"
        )


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read an image file as a mask.

    Args:
        path: The file.

    Returns:
        (H, W), True where it is not black.

    Raises:
        DataError: If it is not a readable image.
    """
    with open_image(path, path) as opened:
        return np.asarray(opened.image.convert("L")) > 0


def inspect_image(path: Path, data: bytes) -> ImageInfo:
    """Decode an image completely and collect its properties.

    Args:
        path: The file, for messages.
        data: Its bytes.

    Returns:
        The properties.

    Raises:
        DataError: If it is damaged, has no or too many pixels, or cannot be converted to RGB.
    """
    with open_image(io.BytesIO(data), path) as opened:
        image = opened.image
        image.load()
        lowest, highest = _value_range(opened)
        white = opened.white or 0
        if not white:  # data.scale is not known here
            opened = dataclasses.replace(opened, white=max(highest, 1))
        pixels = convert(opened, (image.height, image.width, 3), DEFAULT_IMAGE_SETTINGS)
        digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
        layered = with_alpha(to_8_bit(opened, None))
        return ImageInfo(
            height=image.height,
            width=image.width,
            grey=image.mode in GREY_MODES,
            kind=opened.kind,
            clear=layered is not None and layered.getchannel("A").getextrema() != (255, 255),
            pixels=digest,
            look=_perceptual_hash(pixels),
            lowest=lowest,
            highest=highest,
            white=white,
        )


def _perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """Return the hash by which of the 16 x 16 lowest frequencies are above their median."""
    from imagehash import phash

    return str(phash(Image.fromarray(pixels), hash_size=16))


def _value_range(opened: OpenedImage) -> tuple[int, int]:
    """Return the lowest and the highest of the numbers that `data.scale` multiplies."""
    image = opened.image
    if image.mode in DEEP_MODES:
        values = np.asarray(image)
        return int(values.min()), int(values.max())
    plain = image if image.mode in ("L", "LA", "RGB", "RGBA") else with_alpha(image) or image.convert("RGB")
    bands = plain.split()
    ranges = np.array([band.getextrema() for band in bands if not (len(bands) in (2, 4) and band is bands[-1])])
    return int(ranges.min()), int(ranges.max())
