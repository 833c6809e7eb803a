"""Conversion of decoded images to 8-bit pixels of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcompress.config.images import ImageSettings
from kdcompress.data.opening import OpenedImage
from kdcompress.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Shape = tuple[int, int, int]
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")  # of more than 8 bits


def convert(opened: OpenedImage, shape: Shape, settings: ImageSettings) -> NDArray[np.uint8]:
    """Convert an image to 8 bits, draw it on the background unless the result has an alpha channel, and resize it.

    Args:
        opened: The image.
        shape: (H, W, C) of the result.
        settings: How it is converted.

    Returns:
        Pixels, of shape `shape`.

    Raises:
        DataError: If it is not known which of its numbers is white.
    """
    image = to_8_bit(opened, settings.scale)
    layered = with_alpha(image) if shape[2] != 4 else None
    if layered is None:
        return resize(image, shape)
    drawn = Image.new("RGB", image.size, settings.background_colour)
    drawn.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return resize(drawn, shape)


def with_alpha(image: Image.Image) -> Image.Image | None:
    """Return an 8-bit image as RGBA, or None if it has neither an alpha channel nor a transparent colour.

    Args:
        image: The image.
    """
    if not {"A", "a"} & set(image.getbands()) and image.info.get("transparency") is None:
        return None
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def to_8_bit(opened: OpenedImage, scale: float | None) -> Image.Image:
    """Convert the numbers of an image to pixels of 0 to 255.

    Args:
        opened: The image.
        scale: Factor; by default that from the header's white to 255.

    Returns:
        The image, with 8 bits per channel.

    Raises:
        DataError: If there is no scale, and the header does not say which number is white.
    """
    image = opened.image
    if image.mode in DEEP_MODES:
        return _shallow(opened, scale)
    if scale is None:
        return image
    layered = with_alpha(image)
    plain = layered or (image if image.mode in ("L", "RGB") else image.convert("RGB"))
    table = np.clip(np.rint(np.arange(256) * scale), 0, 255).astype(int).tolist()
    alpha = list(range(256)) if layered else []
    return plain.point(table * (len(plain.getbands()) - bool(layered)) + alpha)


def _shallow(opened: OpenedImage, scale: float | None) -> Image.Image:
    values = np.asarray(opened.image)
    if scale is not None:
        pixels = np.clip(np.rint(values * scale), 0, 255)
    elif opened.white == 65535:
        pixels = np.clip(values, 0, 65535) // 257
    elif opened.white is not None:
        pixels = np.clip(np.rint(values * (255 / opened.white)), 0, 255)
    else:
        raise DataError(
            f"{opened.path} holds numbers of 32 bits or with a sign, of which white is not known: {values.min():,} to "
            f"{values.max():,}; save it with 8 or 16 bits, or set data.scale"
        )
    grey = Image.fromarray(pixels.astype(np.uint8))
    colour = opened.image.info.get("transparency")
    if isinstance(colour, int):
        grey = grey.convert("RGBA")
        grey.putalpha(Image.fromarray(np.where(values == colour, 0, 255).astype(np.uint8)))
    return grey


def resize_pixels(pixels: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """Convert and resize pixels as an image file is.

    Args:
        pixels: (H, W, C) with C 1, 3 or 4.
        shape: (H, W, C) of the result.

    Returns:
        Pixels, of shape `shape`.
    """
    return resize(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), shape)


def resize(image: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    """Convert an 8-bit image to a number of channels, and resize it (bilinear).

    Args:
        image: The image.
        shape: (H, W, C) of the result.

    Returns:
        Pixels, of shape `shape`.
    """
    height, width, channels = shape
    converted = image.convert(MODES[channels])
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(shape)
