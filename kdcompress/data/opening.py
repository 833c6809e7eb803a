"""Opening of untrusted image files: allowed formats, and limits that are checked before pixels are decoded."""

from __future__ import annotations

import functools
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, ImageOps, UnidentifiedImageError

from kdcompress.data.png_bits import find_unscaled_white
from kdcompress.errors import DataError, error_text, one_line
from kdcompress.paths import check_regular_file

# Formats by content, whatever the suffix, that contain only pixels and declare their number in the header. Of Pillow's
# other formats, some start programs (PostScript), and some unpack to another size than declared (icons)
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
# Formats without a signature, which are tried only on files with the suffix
_FORMAT_BY_SUFFIX = {".dib": "DIB", ".tga": "TGA"}
_TILE_SIZE, _LARGEST_TILE = (322, 323), 4096 * 4096  # TIFF tags; pixels
MAX_FILE_SIZE = 1 << 30  # bytes; more than the pixels that Pillow accepts, uncompressed
# What Pillow raises on damaged files
_READ_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # of these, the message suffices


@dataclass(frozen=True)
class OpenedImage:
    """An opened image file.

    Attributes:
        image: The image, upright.
        kind: Pillow's mode, followed by ";16" for 16 bits per channel.
        white: The stored number that is white; None if the header does not say it.
        path: The file, for messages.
    """

    image: Image.Image
    kind: str
    white: int | None
    path: Path


@contextmanager
def open_image(source: Path | IO[bytes], path: Path) -> Iterator[OpenedImage]:
    """Open an untrusted image file as one of the allowed formats.

    Args:
        source: The path, or the file's content.
        path: The path, for messages.

    Yields:
        The image, upright.

    Raises:
        DataError: If it is not a readable image, or has no or too many pixels.
    """
    if isinstance(source, Path):
        check_regular_file(source, DataError)
    try:
        with Image.open(source, formats=allowed_formats(path.suffix)) as image:
            _check_header(image, path)
            tile = repr(getattr(image, "tile", ""))  # before the image is loaded; how its pixels are stored
            kind, white = _find_kind(image, tile), _find_white(image, tile)
            # Many TGA files have an alpha channel that nothing fills
            unused_alpha = image.format == "TGA" and image.mode == "RGBA" and not image.getchannel("A").getbbox()
            upright = ImageOps.exif_transpose(image.convert("RGB") if unused_alpha else image)
            yield OpenedImage(upright, kind, white, path)
    except UnidentifiedImageError as exc:
        raise DataError(f"{path} is truncated, damaged or no image (no image that Pillow knows)") from exc
    except _READ_ERRORS as exc:
        reason = error_text(exc) if isinstance(exc, _PILLOW_ERRORS) else one_line(exc)
        raise DataError(f"{path} is truncated, damaged or no image ({reason})") from exc


@functools.lru_cache(maxsize=64)
def allowed_formats(suffix: str) -> tuple[str, ...]:
    """Return Pillow's names of the allowed formats that it supports.

    Args:
        suffix: Suffix of the file.
    """
    Image.init()
    allowed = (*_FORMATS, _FORMAT_BY_SUFFIX.get(suffix.lower(), ""))
    return tuple(name for name in allowed if name in Image.OPEN)


def _check_header(image: Image.Image, path: Path) -> None:
    """Reject images that cannot be used, by their header alone."""
    width, height = image.size
    if not width or not height:
        raise DataError(f"{path} has no pixels ({height}x{width})")
    if width * height > (limit := Image.MAX_IMAGE_PIXELS or 0) > 0:
        raise DataError(f"{path} is {height}x{width}, above {limit:,} pixels: a decompression bomb, or not for a model")
    # The tiles of a TIFF have a size of their own and are unpacked completely
    tags = getattr(image, "tag_v2", {})
    tile = math.prod(size if isinstance(size := tags.get(tag, 1), int) else 1 for tag in _TILE_SIZE)
    if tile > max(_LARGEST_TILE, width * height):
        raise DataError(f"{path} is {height}x{width}, in tiles of {tile:,} pixels: a bomb, or damaged; save it anew")
    if image.mode == "F":
        raise DataError(f"{path} holds floating-point numbers, whose range is not known; save it with 8 or 16 bits")


def is_image_content(path: Path) -> bool:
    """Return whether a regular file starts as an image does, whatever its name.

    Args:
        path: The file, of which the header is read.
    """
    try:
        with Image.open(path, formats=allowed_formats("")):
            return True
    except Image.DecompressionBombError:  # an image, which is rejected with the reason when it is read
        return True
    except _READ_ERRORS:
        return False


def _find_kind(image: Image.Image, tile: str) -> str:
    """Return the kind of an image; for some modes only its tile shows 16 bits."""
    return f"{image.mode.partition(';')[0]};16" if ";16" in tile else image.mode


def _find_white(image: Image.Image, tile: str) -> int | None:
    """Return the number that is white in an image as Pillow decodes it."""
    if not image.mode.startswith("I"):
        return 255
    if ";12" in tile:
        return 4095
    if image.format == "PNG" and (white := find_unscaled_white(image)):
        return white
    is_signed = bool(re.search(r";16\w*S", tile))
    is_16_bit = image.mode != "I" or ";16" in tile or image.format in ("PNG", "PPM")
    return 65535 if is_16_bit and not is_signed else None
