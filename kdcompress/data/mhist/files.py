"""The image files of MHIST: their location and checks of their kinds and sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.filesystem import is_file, is_folder, walk_files
from kdcompress.data.finding import is_image_path
from kdcompress.data.index import index_images
from kdcompress.data.mhist.archive import extract_archive
from kdcompress.data.mhist.table import IMAGES, TABLE, Annotations
from kdcompress.data.resolving import PathResolver
from kdcompress.data.rows import check_files_exist
from kdcompress.errors import DataError
from kdcompress.progress import Progress

_MAX_LISTED = 5  # files that a message names
# Image kinds (Pillow's modes) that can be converted to RGB without relevant loss, in words
_CONVERTIBLE = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with an opaque alpha channel",
    "I;16": "16-bit grey",
    "LA;16": "16-bit grey with an opaque alpha channel",
    "P": "of a palette",
    "RGB;16": "16-bit RGB",
    "RGBA": "RGBA with an opaque alpha channel",
    "RGBA;16": "16-bit RGBA with an opaque alpha channel",
    "CMYK": "CMYK",
}


@dataclass(frozen=True)
class MhistFiles:
    """Indexed image files.

    Attributes:
        root: Folder of the files.
        names: Paths relative to `root`, (n,).
        rows: Rows of the index, (n,).
    """

    root: Path
    names: NDArray[np.str_]
    rows: NDArray[np.void]

    @property
    def sizes(self) -> list[str]:
        """Size of each image, such as "224x224"."""
        return [f"{row['height']}x{row['width']}" for row in self.rows]

    def describe_sizes(self) -> str:
        """Return the common size of all images, or the number of images of each size, most frequent first."""
        counts = Counter(self.sizes).most_common()
        if len(counts) == 1:
            return counts[0][0]
        more = f" and {len(counts) - _MAX_LISTED} other sizes" if len(counts) > _MAX_LISTED else ""
        return ", ".join(f"{count:,} of {size}" for size, count in counts[:_MAX_LISTED]) + more

    def describe_conversions(self) -> str | None:
        """Return how many images of which kinds are converted to 8-bit RGB, with examples; None if all are RGB."""
        kinds = np.char.decode(self.rows["kind"])
        others = sorted(set(kinds.tolist()) - {"RGB"})
        if not others:
            return None
        counts = [f"{np.sum(kinds == kind):,} {_CONVERTIBLE[kind]} ({self.names[kinds == kind][0]})" for kind in others]
        return f"{np.sum(kinds != 'RGB'):,} of {len(kinds):,} images are converted to 8-bit RGB: {', '.join(counts)}"

    def describe_unlisted(self) -> str | None:
        """Return how many images in the folder are not in the table, with an example; None if there are none."""
        listed = set(self.names.tolist())
        unlisted = sorted(name for name in _find_images(self.root) if name not in listed)
        if not unlisted:
            return None
        verb = "images are" if len(unlisted) > 1 else "image is"
        return f"{len(unlisted):,} {verb} not in {TABLE} and not used, such as {unlisted[0]}"


def inspect_files(root: Path, table: Path, listed: Annotations, resized: bool, progress: Progress) -> MhistFiles:
    """Index and check the images that the table lists.

    Args:
        root: Folder of the images.
        table: The table, for messages.
        listed: Its rows.
        resized: Whether images will be resized, so that their sizes may differ.
        progress: Receives progress.

    Returns:
        The files.

    Raises:
        DataError: If images are missing, damaged, transparent, not convertible to RGB, or of different sizes.
    """
    resolver = PathResolver(root)  # may be another folder than the one that the table was checked against
    for name, line in zip(listed.names.tolist(), listed.lines.tolist(), strict=True):
        resolver.resolve(name, f"{table}, line {line}")
    check_files_exist(table, root, listed.names.tolist(), listed.lines.tolist())
    files = MhistFiles(root, listed.names, index_images(root, listed.names, progress))
    _check_kinds(files)
    if not resized:
        _check_sizes(files)
    return files


def image_folder(folder: Path, progress: Progress) -> Path:
    """Find images/, or extract images.zip into the cache.

    Args:
        folder: The user's folder.
        progress: Receives progress.

    Returns:
        Folder of the images.

    Raises:
        DataError: If there is neither.
    """
    images, archive = folder / IMAGES, folder / f"{IMAGES}.zip"
    if is_folder(images) and next(_find_images(images), None):
        inner = images / IMAGES  # extracted into a folder of the same name
        return inner if [item for item in images.iterdir() if not item.name.startswith(".")] == [inner] else images
    if is_file(archive):
        return extract_archive(archive, IMAGES, progress)
    raise DataError(f"{folder} holds {TABLE}, but no images in {IMAGES}/ and no {archive.name}; put either beside it")


def _find_images(root: Path) -> Iterator[str]:
    return (item.relative_to(root).as_posix() for item in walk_files(root) if is_image_path(item))


def _check_kinds(files: MhistFiles) -> None:
    kinds = np.char.decode(files.rows["kind"])
    odd = ~np.isin(kinds, ["RGB", *_CONVERTIBLE])
    if odd.any():
        examples = _format_examples(files.names[odd], kinds[odd])
        raise DataError(
            f"images must be RGB, or what becomes RGB without loss; others are: {examples}; save them as RGB"
        )
    if (clear := files.rows["clear"]).any():
        raise DataError(
            f"images with transparent pixels, behind which anything may stand: {_format_examples(files.names[clear])}; "
            "save them without an alpha channel"
        )


def _check_sizes(files: MhistFiles) -> None:
    sizes = np.array(files.sizes)
    usual, _ = Counter(sizes.tolist()).most_common(1)[0]
    odd = sizes != usual
    if odd.any():
        raise DataError(
            f"{odd.sum():,} of {len(sizes):,} images are not {usual} as the others are: "
            f"{_format_examples(files.names[odd], sizes[odd])}; mend them, or have all of them scaled: data.size = 224"
        )


def _format_examples(names: NDArray[np.str_], facts: NDArray[np.str_] | None = None) -> str:
    """Format the first file names for a message, each with a fact about it."""
    suffixes = [""] * len(names) if facts is None else [f" ({fact})" for fact in facts.tolist()]
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return (
        ", ".join(name + suffix for name, suffix in list(zip(names.tolist(), suffixes, strict=True))[:_MAX_LISTED])
        + more
    )
