"""Image files: finding them, and reading them as pixels of the size a model takes."""

from __future__ import annotations

import functools
import hashlib
import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from kdcompress.data.filesystem import exists, is_file, is_folder, walk_files
from kdcompress.errors import DataError, error_text, one_line
from kdcompress.paths import check_regular_file

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
Shape = tuple[int, int, int]
# By what is in a file, whatever its name says: pixels alone, their number in the header. Pillow knows further formats,
# of which some start programs (PostScript), and some unpack to another size than they say (icons)
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
_TILE_SIZE, _LARGEST_TILE = (322, 323), 4096 * 4096  # tags of a TIFF; pixels
_SMALLEST = 16  # values of an image in an array
LARGEST_FILE = 1 << 30  # bytes; no more pixels than Pillow takes, uncompressed
# What Pillow raises at damaged files
_DAMAGED = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_WORDED = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # by Pillow; of others, the type says most
# What Pillow calls pictures without colour
_GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L")
_DEEP = ("I", "I;16", "I;16B", "I;16L")
# Those whose transparent colour Pillow can lay out as an alpha channel
_LAID_OUT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


class ImageInfo(NamedTuple):
    """What an image file shows: its size upright, whether it is without colour, its kind (Pillow's mode, with ";16"
    where it has 16 bits a channel), whether some of it is transparent, and the digest of its pixels as 8-bit RGB."""

    height: int
    width: int
    grey: bool
    kind: str
    clear: bool
    pixels: str


def is_image_path(path: Path) -> bool:
    """Whether a path is that of an image file, by its ending; hidden files (`.x.png`, `._x.png`) are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The image files named, and those in the folders named, sorted by path; DataError for a missing or empty one."""
    found: list[Path] = []
    for path in paths:
        if is_folder(path):
            inside = sorted(item for item in walk_files(path) if is_image_path(item))
            if not inside:
                raise DataError(f"folder {path} holds no images ({', '.join(SUFFIXES)})")
            found += inside
        elif is_file(path):
            found.append(path)
        else:
            raise DataError(f"{path} does not exist" if not exists(path) else f"{path} is neither a file nor a folder")
    return found


def image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image file, upright; DataError if it is none."""
    with _opened(path, path) as image:
        return image.height, image.width


def read_image(path: Path, input_shape: Shape) -> NDArray[np.uint8]:
    """An image file as (H, W, C) pixels, upright, converted and scaled to `input_shape`; DataError if it is none."""
    with _opened(path, path) as image:
        return _fitted(image, input_shape)


def check_image_values(shape: tuple[int, ...], what: str) -> None:
    """DataError for an array of pictures of a few bytes each: a small file would hold them by the thousand million."""
    if (size := math.prod(shape[1:])) < _SMALLEST:
        raise DataError(f"{what} holds images of {size} values each, got {shape}; they must have {_SMALLEST} or more")


def read_mask(path: Path) -> NDArray[np.bool_]:
    """An image file as (H, W) truth: where it is not black; DataError if it is none."""
    with _opened(path, path) as image:
        return np.asarray(image.convert("L")) > 0


def inspect_image(path: Path, data: bytes) -> ImageInfo:
    """What the image file with these bytes shows.

    The file is decoded whole: DataError if it is truncated, damaged, without pixels, too large to be an image, or of a
    kind that cannot be made RGB.
    """
    with _opened(io.BytesIO(data), path) as image:
        image.load()
        pixels = _fitted(image, (image.height, image.width, 3))
        digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16).hexdigest()
        return ImageInfo(image.height, image.width, image.mode in _GREY, _kind(image, data), _clear(image), digest)


def _kind(image: Image.Image, data: bytes) -> str:
    """Pillow's mode, and ";16" behind it where Pillow has cut 16 bits a channel to 8, which only the header tells."""
    with Image.open(io.BytesIO(data), formats=_formats()) as unread:
        deep = ";16" in repr(unread.tile)
    return f"{image.mode.partition(';')[0]};16" if deep else image.mode


def _clear(image: Image.Image) -> bool:
    if "A" not in image.getbands() and "transparency" not in image.info:
        return False
    if image.mode not in _LAID_OUT:
        return True
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return lowest != 255


def resize_image(pixels: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """Pixels (H, W, C) with C 1, 3 or 4 as `shape`, converted and scaled as an image file is."""
    return _fitted(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), shape)


def _fitted(image: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    height, width, channels = shape
    converted = (_shallow(image) if image.mode in _DEEP else image).convert(MODES[channels])
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(shape)


def _shallow(image: Image.Image) -> Image.Image:
    """16 bits as 8: Pillow's own conversion would clip at 255."""
    deep = np.asarray(image)
    return Image.fromarray((np.clip(deep, 0, 65535) // 257).astype(np.uint8))


@contextmanager
def _opened(source: Path | IO[bytes], path: Path) -> Iterator[Image.Image]:
    """An image file, upright; whatever is wrong with it is told by `path`."""
    if isinstance(source, Path):
        check_regular_file(source, DataError)
    try:
        with Image.open(source, formats=_formats()) as image:
            _refuse(image, path)
            yield ImageOps.exif_transpose(image)
    except UnidentifiedImageError as exc:
        raise DataError(f"{path} is truncated, damaged or no image (no image that Pillow knows)") from exc
    except _DAMAGED as exc:
        said = error_text(exc) if isinstance(exc, _WORDED) else one_line(exc)
        raise DataError(f"{path} is truncated, damaged or no image ({said})") from exc


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _refuse(image: Image.Image, path: Path) -> None:
    """DataError for what opens but is no image to learn from; the header alone is looked at."""
    width, height = image.size
    if not width or not height:
        raise DataError(f"{path} has no pixels ({height}x{width})")
    if width * height > (limit := Image.MAX_IMAGE_PIXELS or 0) > 0:
        raise DataError(f"{path} is {height}x{width}, above {limit:,} pixels: a decompression bomb, or not for a model")
    # A TIFF's tiles have a size of their own, and are unpacked whole
    tags = getattr(image, "tag_v2", {})
    tile = math.prod(size if isinstance(size := tags.get(tag, 1), int) else 1 for tag in _TILE_SIZE)
    if tile > max(_LARGEST_TILE, width * height):
        raise DataError(f"{path} is {height}x{width}, in tiles of {tile:,} pixels: a bomb, or damaged; save it anew")
    if image.mode == "F":
        raise DataError(f"{path} holds floating-point numbers, whose range is not known; save it with 8 or 16 bits")
