"""Decoding of image files to a model's input size."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.data.opening import allowed_formats, open_image
from kdcompress.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Shape = tuple[int, int, int]
_MIN_VALUES = 16  # per image in an array
# Modes without colour
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_16_BIT = ("I", "I;16", "I;16B", "I;16L")


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
    """

    height: int
    width: int
    grey: bool
    kind: str
    clear: bool
    pixels: str
    look: str


def image_size(path: Path) -> tuple[int, int]:
    """Read the size of an image file.

    Args:
        path: The file.

    Returns:
        Height and width in pixels, upright.

    Raises:
        DataError: If it is not a readable image.
    """
    with open_image(path, path) as image:
        return image.height, image.width


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
    with open_image(path, path) as image:
        return _convert(image, input_shape, settings)


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
    with open_image(path, path) as image:
        return np.asarray(image.convert("L")) > 0


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
    with open_image(io.BytesIO(data), path) as image:
        image.load()
        pixels = _convert(image, (image.height, image.width, 3), DEFAULT_IMAGE_SETTINGS)
        digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
        return ImageInfo(
            image.height,
            image.width,
            image.mode in _GREY,
            _find_kind(image, data, path.suffix),
            _is_transparent(image),
            digest,
            _perceptual_hash(pixels),
        )


def _perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """Return the hash by which of the 16 x 16 lowest frequencies are above their median."""
    from imagehash import phash

    return str(phash(Image.fromarray(pixels), hash_size=16))


def _find_kind(image: Image.Image, data: bytes, suffix: str) -> str:
    """Return Pillow's mode, followed by ";16" for 16 bits per channel; for some modes only the header shows that."""
    with Image.open(io.BytesIO(data), formats=allowed_formats(suffix)) as header:
        is_16_bit = ";16" in repr(header.tile)
    return f"{image.mode.partition(';')[0]};16" if is_16_bit else image.mode


def _is_transparent(image: Image.Image) -> bool:
    layered = _with_alpha(image)
    return layered is not None and layered.getchannel("A").getextrema() != (255, 255)


def _with_alpha(image: Image.Image) -> Image.Image | None:
    """Return an image as RGBA, or None if it has neither an alpha channel nor a transparent colour."""
    colour = image.info.get("transparency")
    if image.mode in _16_BIT:
        if not isinstance(colour, int):
            return None
        layered = _to_8_bit(image).convert("RGBA")
        layered.putalpha(Image.fromarray(np.where(np.asarray(image) == colour, 0, 255).astype(np.uint8)))
        return layered
    if not {"A", "a"} & set(image.getbands()) and colour is None:
        return None
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _convert(image: Image.Image, shape: Shape, settings: ImageSettings) -> NDArray[np.uint8]:
    """Draw an image on the background, unless the result has an alpha channel, and resize it."""
    layered = _with_alpha(image) if shape[2] != 4 else None
    if layered is None:
        return _resize(image, shape)
    drawn = Image.new("RGB", image.size, settings.background_colour)
    drawn.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return _resize(drawn, shape)


def resize_image(pixels: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """Convert and resize pixels as an image file is.

    Args:
        pixels: (H, W, C) with C 1, 3 or 4.
        shape: (H, W, C) of the result.

    Returns:
        Pixels, of shape `shape`.
    """
    return _resize(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), shape)


def _resize(image: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    height, width, channels = shape
    converted = (_to_8_bit(image) if image.mode in _16_BIT else image).convert(MODES[channels])
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(shape)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Convert 16 bits to 8; Pillow's own conversion would clip at 255."""
    values = np.asarray(image)
    return Image.fromarray((np.clip(values, 0, 65535) // 257).astype(np.uint8))
