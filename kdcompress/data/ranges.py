"""Checks of the numbers of images against the range of 0 to 255 that they become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import DataError
from kdcompress.progress import Progress

WHITE_LIMIT = 255.5  # what is below it is rounded to 255 at most


def check_file_ranges(
    root: Path, names: NDArray[np.str_], rows: NDArray[np.void], scale: float | None, progress: Progress
) -> None:
    """Check that the numbers of image files become pixels of 0 to 255, and warn if all of them become nearly black.

    Args:
        root: Folder of the files, for messages.
        names: Paths relative to `root`, (n,).
        rows: Their rows of the index, (n,).
        scale: The setting `data.scale`.
        progress: Receives warnings.

    Raises:
        DataError: If a file has negative numbers, numbers above 255 after scaling, or an unknown range.
    """
    if len(negative := np.flatnonzero(rows["lowest"] < 0)):
        first = negative[0]
        raise DataError(
            f"{root / names[first]} has negative numbers ({_format_range(rows[first])}){_more(negative)}; pixels are 0 "
            "or more: shift them, and save them with 8 or 16 bits"
        )
    if scale is not None:
        check_scaled(int(rows["highest"].max()), scale, str(root / names[rows["highest"].argmax()]))
        _check_each_depth(rows, scale, progress)
        return
    if len(unknown := np.flatnonzero(rows["white"] == 0)):
        first = unknown[0]
        raise DataError(
            f"{root / names[first]} has numbers of 32 bits or with a sign ({_format_range(rows[first])})"
            f"{_more(unknown)}, of which white is not known; set "
            f"data.scale{example_scale(int(rows['highest'][unknown].max()))}, or save them with 8 or 16 bits"
        )
    _check_each_depth(rows, None, progress)


def _check_each_depth(rows: NDArray[np.void], scale: float | None, progress: Progress) -> None:
    """Warn of dark images among those of each depth, since a scale multiplies all of them."""
    is_deep = np.char.endswith(rows["kind"], b";16")
    for white, deep in sorted(set(zip(rows["white"].tolist(), is_deep.tolist(), strict=True))):
        alike = rows["highest"][(rows["white"] == white) & (is_deep == deep)]
        if not alike.any() and rows["highest"].any():  # black ones among others
            continue
        source = f"the {len(alike):,} images of {white.bit_length()} bits"
        remedy = None
        if deep and white == 255:
            source = f"the upper 8 bits of the {len(alike):,} colour images of 16"
            remedy = "scale them to 16, or to 8, and save them so"
        if len(alike) < len(rows):
            remedy = "save them with 8 bits, scaled: data.scale holds for all images"
        if scale is None:
            warn_if_dark(int(alike.max()), white, source, progress, remedy)
        elif len(alike) < len(rows):
            scaled = int(alike.max()) * scale
            warn_if_dark(round(scaled), 255, f"by data.scale = {scale:.6g}, {source}", progress, remedy)


def check_scaled(highest: float, scale: float, source: str) -> None:
    """Check that no number is above 255 after scaling.

    Args:
        highest: Highest number.
        scale: The setting `data.scale`.
        source: What contains it, for messages.

    Raises:
        DataError: If one is.
    """
    if highest * scale >= WHITE_LIMIT:
        raise DataError(
            f"data.scale = {scale:.6g} makes {highest * scale:,.6g} of {highest:,.6g} in {source}; pixels are at most "
            f"255: set data.scale{example_scale(highest)}, or leave it out"
        )


def warn_if_dark(highest: float, white: int, source: str, progress: Progress, remedy: str | None = None) -> None:
    """Warn of images that are black, or whose numbers fill less than a quarter of their range.

    Args:
        highest: Highest number of all images.
        white: The number that is white.
        source: The images, for messages.
        progress: Receives the warning.
        remedy: What to do if they have fewer bits; by default the setting.
    """
    if highest == 0:
        progress.warn(f"{source} are all black: they have no number above 0")
    elif highest < (white + 1) // 4:
        progress.warn(
            f"{source} have no number above {highest:,g}, where white is {white:,}: they are nearly black; if they "
            f"have fewer bits, {remedy or f'set data.scale{example_scale(highest)}'}"
        )


def example_scale(highest: float) -> str:
    """Return the scale for the fewest bits that contain a whole number, or that makes another number white.

    Args:
        highest: The number.

    Returns:
        Equals sign and value, as text of a setting.
    """
    if not float(highest).is_integer():
        return f" = '255/{highest:.6g}'"
    white = (1 << max(int(highest), 1).bit_length()) - 1
    return f" = {255 // white}" if 255 % white == 0 else f" = '255/{white}'"


def _format_range(row: NDArray[np.void]) -> str:
    return f"{row['lowest']:,} to {row['highest']:,}"


def _more(rows: NDArray[np.int64]) -> str:
    return f" and so have {len(rows) - 1:,} others" if len(rows) > 1 else ""
