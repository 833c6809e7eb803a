"""Conversion of decoded images to 8-bit pixels of one size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kdcompress.config.images import ImageSettings, Resize
from kdcompress.data.opening import OpenedImage
from kdcompress.data.ranges import WHITE_LIMIT
from kdcompress.errors import DataError

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Shape = tuple[int, int, int]
_MAX_DISTORTION = 1.1
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
        DataError: If it is not known which of its numbers is white, or numbers are above 255 after scaling.
    """
    image = to_8_bit(opened, settings.scale)
    layered = with_alpha(image) if shape[2] != 4 else None
    if layered is None:
        return resize(image, shape, settings.resize, settings.background_colour)
    drawn = Image.new("RGB", image.size, settings.background_colour)
    drawn.paste(layered.convert("RGB"), mask=layered.getchannel("A"))
    return resize(drawn, shape, settings.resize, settings.background_colour)


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
        DataError: If there is no scale, and the header does not say which number is white, or if numbers are above 255
            after scaling.
    """
    image = opened.image
    if image.mode in DEEP_MODES:
        return _shallow(opened, scale)
    if scale is None:
        return image
    layered = with_alpha(image)
    plain = layered or (image if image.mode in ("L", "RGB") else image.convert("RGB"))
    colours = plain.getbands()[:3]
    _check_highest(int(np.asarray(plain.convert("RGB")).max()), scale, opened)
    table = np.clip(np.rint(np.arange(256) * scale), 0, 255).astype(int).tolist()
    alpha = list(range(256)) if layered else []
    return plain.point(table * len(colours) + alpha)


def _check_highest(highest: int, scale: float, opened: OpenedImage) -> None:
    """Reject an image that other numbers are stored in than in those that the scale is meant for."""
    if highest * scale >= WHITE_LIMIT:
        raise DataError(
            f"{opened.path} has numbers up to {highest:,}, which data.scale = {scale:.6g} makes {highest * scale:,.6g}"
            "; pixels are at most 255: save it as the images are that the scale is for"
        )


def _shallow(opened: OpenedImage, scale: float | None) -> Image.Image:
    values = np.asarray(opened.image)
    if scale is not None:
        _check_highest(int(values.max()), scale, opened)
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


def resize_pixels(pixels: NDArray[np.uint8], shape: Shape, mode: Resize = "squash") -> NDArray[np.uint8]:
    """Convert and resize pixels as an image file is.

    Args:
        pixels: (H, W, C) with C 1, 3 or 4.
        shape: (H, W, C) of the result.
        mode: How another aspect ratio is resized; pads are black.

    Returns:
        Pixels, of shape `shape`.
    """
    return resize(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), shape, mode)


def resize(
    image: Image.Image, shape: Shape, mode: Resize = "squash", pad_colour: tuple[int, int, int] = (0, 0, 0)
) -> NDArray[np.uint8]:
    """Convert an 8-bit image to a number of channels, and resize it (bilinear).

    Args:
        image: The image.
        shape: (H, W, C) of the result.
        mode: How another aspect ratio is resized.
        pad_colour: Colour of what pad adds.

    Returns:
        Pixels, of shape `shape`.
    """
    height, width, channels = shape
    converted = image.convert(MODES[channels])
    if converted.size != (width, height):
        converted = _fit(converted, (width, height), mode, pad_colour)
    return np.asarray(converted, np.uint8).reshape(shape)


def distorted(heights: NDArray[np.int64], widths: NDArray[np.int64], shape: Shape) -> NDArray[np.bool_]:
    """Return whether squashing to a shape changes aspect ratios by more than a tenth, (n,).

    Args:
        heights: Heights of images, (n,).
        widths: Widths of images, (n,).
        shape: (H, W, C) to which they are resized.
    """
    change = np.abs(np.log(widths / heights * (shape[0] / shape[1])))
    return np.asarray(change > np.log(_MAX_DISTORTION))


def _fit(image: Image.Image, size: tuple[int, int], mode: Resize, pad_colour: tuple[int, int, int]) -> Image.Image:
    if mode == "squash":
        return image.resize(size, Image.Resampling.BILINEAR)
    if mode == "crop":
        return ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    colour = Image.new("RGB", (1, 1), pad_colour).convert(image.mode).getpixel((0, 0))
    inner = ImageOps.contain(image, size, Image.Resampling.BILINEAR)
    padded = Image.new(image.mode, size, colour)
    padded.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return padded
