"""Checks of arrays of images, and the lines of NumPy that turn other arrays into pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.images import check_image_values
from kdcompress.data.pixels import MODES
from kdcompress.data.ranges import example_scale
from kdcompress.errors import DataError

_BLOCK = 1 << 24  # values that are looked at at once
_LEAST_8_BIT = 50  # maximum from which fractions are taken for values of 0 to 255
_LARGEST_WHOLE = 2**53  # of float64
_BITS = (10, 12, 14, 16)  # depths of cameras and scanners


class _Extent(NamedTuple):
    """Range of the values of arrays; NaN and infinity are left out.

    Attributes:
        low: Least value.
        high: Largest value.
        whole: Whether all are whole numbers.
        not_finite: Name of the first array with such a value, and index of its first such image.
        not_finite_count: Number of images with such values.
    """

    low: float
    high: float
    whole: bool
    not_finite: tuple[str, int] | None
    not_finite_count: int


def check_pixels(
    arrays: Mapping[str, NDArray[Any]],
    source: str,
    counts: Mapping[str, int] | None = None,
    scale: float | None = None,
) -> None:
    """Check that arrays are images of 8 bits, or with `data.scale` of any numbers of 0 or more.

    Args:
        arrays: The images of all parts by the names of their arrays, each (n, H, W) or (n, H, W, C).
        source: Their file, for messages.
        counts: Number of labels by the names of the arrays; None if the images have no labels.
        scale: The setting `data.scale`.

    Raises:
        DataError: If one is not; says how to convert all of them in the same way.
    """
    rule = "pixels of uint8" if scale is None else "numbers of 0 or more, which data.scale multiplies"
    for name, array in arrays.items():
        channels = array.shape[3] if array.ndim == 4 else 1
        if array.ndim and not len(array):
            raise DataError(f"{source}: {name} holds no images, got {array.dtype} {array.shape}")
        is_laid_out = array.ndim in (3, 4) and channels in MODES and array.size > 0
        if not is_laid_out or not (array.dtype == np.uint8 or (scale is not None and _is_scalable(array))):
            axes = [*_axis_remedies(array.shape, (counts or {}).get(name))]
            remedies = [*axes, *_value_remedies(arrays, name, counts is not None)] if array.size else []
            if is_laid_out and scale is None and counts is not None:
                remedies += _scale_remedy(arrays)
            raise DataError(
                f"{source}: {name} must be {rule}, (n, H, W) or (n, H, W, C) with C 1, 3 or 4, "
                f"got {'; '.join([f'{array.dtype} {array.shape}', *remedies])}"
            )
        check_image_values(array.shape, f"{source}: {name}")


def _is_scalable(array: NDArray[Any]) -> bool:
    """Whether all are numbers of 0 or more."""
    if array.dtype.kind not in "iuf":
        return array.dtype.kind == "b"
    extent = _find_extent({"": array})
    return extent.not_finite is None and extent.low >= 0


def _scale_remedy(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the setting that scales all arrays as the usual line of NumPy does, where there is one."""
    if any(array.dtype.kind not in "biuf" or not array.size for array in arrays.values()):
        return []
    white = _find_white(_find_extent({key: array for key, array in arrays.items() if array.dtype.kind != "b"}))
    return [f"or set data.scale{example_scale(white)}"] if white else []


def _axis_remedies(shape: tuple[int, ...], count: int | None) -> Iterator[str]:
    """Yield how to bring axes into the order (n, H, W, C), and other numbers of channels to 1, 3 or 4."""
    if len(shape) == 2 and math.isqrt(shape[1]) ** 2 == shape[1] and shape[1] % 3:
        side = math.isqrt(shape[1])
        yield f"make images of the rows: x.reshape(-1, {side}, {side})"
    if len(shape) != 4 or shape[3] in MODES:
        return
    channels = shape[3]
    if shape[1] in MODES or shape[1] < min(shape[2:]):
        channels = shape[1]
        yield "put the channels last: x.transpose(0, 2, 3, 1)"
    elif count == shape[3] != shape[0]:
        channels = shape[2]
        yield "put the images first: x.transpose(3, 0, 1, 2)"
    if channels == 2:
        yield "add an empty third channel: np.pad(x, [(0, 0), (0, 0), (0, 0), (0, 1)])"
    elif channels not in MODES:
        yield f"choose 1, 3 or 4 of its {channels:,} channels"


def _value_remedies(arrays: Mapping[str, NDArray[Any]], name: str, labelled: bool) -> Iterator[str]:
    """Yield how to turn values into 0 to 255, by their range in all parts, so that all are converted in one way."""
    kind = arrays[name].dtype.kind
    if kind == "b":
        yield "make pixels of them: x.astype('uint8') * 255"
    if kind not in "iuf" or arrays[name].dtype == np.uint8:
        return
    numbers = {key: array for key, array in arrays.items() if array.dtype.kind in "iuf" and array.size and array.ndim}
    extent = _find_extent(numbers)
    if extent.not_finite:
        key, image = extent.not_finite
        keys = [key, key.replace("x", "y", 1)] if labelled else [key]
        yield (
            f"{extent.not_finite_count:,} images hold values that are no numbers (NaN or infinity), the first is image "
            f"{image:,} of {key}; leave these out: keep = np.isfinite({key}).reshape(len({key}), -1).all(axis=1); "
            f"{', '.join(keys)} = {', '.join(f'{array}[keep]' for array in keys)}"
        )
    elif arrays[name].dtype == np.int8 and extent.low < 0:
        yield (
            "make pixels of them: x.view('uint8') if values above 127 became negative in a conversion, "
            "(x.astype('int16') + 128).astype('uint8') if 128 was subtracted"
        )
    elif extent.high > extent.low or 0 <= extent.low <= 255:
        yield f"make pixels of them: {_conversion(extent, kind)}"


def _find_white(extent: _Extent) -> int | None:
    """Return the number that is usually white in arrays of a range; None if that is not known."""
    low, high = extent.low, extent.high
    if low < 0 or extent.not_finite:
        return None
    if high <= 1:
        return 1
    if high <= 255 and (extent.whole or high >= _LEAST_8_BIT):
        return 255
    return next((2**bits - 1 for bits in _BITS if high < 2**bits), None) if extent.whole else None


def _conversion(extent: _Extent, kind: str) -> str:
    """Return a line of NumPy that maps the range onto 0 to 255: the usual one for it, else from end to end."""
    low, high = extent.low, extent.high
    if (white := _find_white(extent)) == 1:
        return "x.astype('uint8') * 255" if kind in "iu" else "(x * 255).round().astype('uint8')"
    if kind == "f" and -1 <= low < -0.5 and high <= 1:
        return "((x + 1) * 127.5).round().astype('uint8')"
    if white == 255:
        return "x.astype('uint8')" if extent.whole else "x.round().astype('uint8')"
    if white:
        return f"(x * (255 / {white})).round().astype('uint8'), if they are of {white.bit_length()} bits"
    shift = f"(x.astype('float64') - {_number(low)})"
    scale = f"(255 / ({_number(high)} - {_number(low)}))"
    return (
        f"({shift} * {scale}).round().astype('uint8'), which scales all parts by their range, "
        f"{low:g} to {high:g}; if they were normalized, undo that instead (x * std + mean)"
    )


def _number(value: float) -> str:
    text = repr(int(value) if value.is_integer() and abs(value) < _LARGEST_WHOLE else value)
    return f"({text})" if value < 0 else text


def _find_extent(arrays: Mapping[str, NDArray[Any]]) -> _Extent:
    """Find the range of all values of arrays, each (n, ...)."""
    low, high, whole, first, count = math.inf, -math.inf, True, None, 0
    for name, array in arrays.items():
        step = max(1, _BLOCK // max(1, math.prod(array.shape[1:])))
        for begin in range(0, len(array), step):
            block = np.asarray(array[begin : begin + step]).reshape(min(step, len(array) - begin), -1)
            finite = np.isfinite(block)
            if len(bad := np.flatnonzero(~finite.all(axis=1))):
                first, count = first or (name, begin + int(bad[0])), count + len(bad)
            values = block[finite]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
                whole = whole and bool((np.trunc(values) == values).all())
    return _Extent(low, high, whole, first, count)
