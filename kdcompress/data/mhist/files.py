"""The image files of MHIST: where they are, and what is found out about them beyond their labels."""

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

_MAX_LISTED = 5  # files that an error names
# Kinds of images (Pillow's modes) that become RGB without a loss that matters here, in words
_HARMLESS = {
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
    """Image files `names` (n,) below `root`, and the rows (n,) of what is known of each."""

    root: Path
    names: NDArray[np.str_]
    rows: NDArray[np.void]

    @property
    def sizes(self) -> list[str]:
        """Height and width of each, as 224x224."""
        return [f"{row['height']}x{row['width']}" for row in self.rows]

    def describe_sizes(self) -> str:
        """The one size of all, or how many there are of each, the most frequent first."""
        counts = Counter(self.sizes).most_common()
        if len(counts) == 1:
            return counts[0][0]
        more = f" and {len(counts) - _MAX_LISTED} other sizes" if len(counts) > _MAX_LISTED else ""
        return ", ".join(f"{count:,} of {size}" for size, count in counts[:_MAX_LISTED]) + more

    def describe_conversions(self) -> str | None:
        """How many are not 8-bit RGB, of which kind, with an example of each; None if all are."""
        kinds = np.char.decode(self.rows["kind"])
        others = sorted(set(kinds.tolist()) - {"RGB"})
        if not others:
            return None
        told = [f"{np.sum(kinds == kind):,} {_HARMLESS[kind]} ({self.names[kinds == kind][0]})" for kind in others]
        return f"{np.sum(kinds != 'RGB'):,} of {len(kinds):,} images are converted to 8-bit RGB: {', '.join(told)}"

    def describe_unlisted(self) -> str | None:
        """How many images below the folder no row names, with an example; None if there are none."""
        named = set(self.names.tolist())
        found = sorted(name for name in _images_below(self.root) if name not in named)
        if not found:
            return None
        verb = "images are" if len(found) > 1 else "image is"
        return f"{len(found):,} {verb} not in {TABLE} and not used, such as {found[0]}"


def inspect_files(root: Path, table: Path, listed: Annotations, scaled: bool, progress: Progress) -> MhistFiles:
    """What is known of the images that the rows name; all are decoded unless that was done before.

    Errors: DataError names images that are missing, damaged, no images, of a kind that cannot become RGB, transparent,
    or, unless they are to be `scaled`, of another size than the others.
    """
    inside = PathResolver(root)  # which need not be the folder that the rows were read for
    for name, line in zip(listed.names.tolist(), listed.lines.tolist(), strict=True):
        inside.resolve(name, f"{table}, line {line}")
    check_files_exist(table, root, listed.names.tolist(), listed.lines.tolist())
    files = MhistFiles(root, listed.names, index_images(root, listed.names, progress))
    _refuse_kinds(files)
    if not scaled:
        _refuse_sizes(files)
    return files


def image_folder(folder: Path, progress: Progress) -> Path:
    """images/ in `folder`, or the images of images.zip unpacked into the cache; DataError if there is neither."""
    images, archive = folder / IMAGES, folder / f"{IMAGES}.zip"
    if is_folder(images) and next(_images_below(images), None):
        inner = images / IMAGES  # unpacked in a folder that had the name already
        return inner if [item for item in images.iterdir() if not item.name.startswith(".")] == [inner] else images
    if is_file(archive):
        return extract_archive(archive, IMAGES, progress)
    raise DataError(f"{folder} holds {TABLE}, but no images in {IMAGES}/ and no {archive.name}; put either beside it")


def _images_below(root: Path) -> Iterator[str]:
    return (item.relative_to(root).as_posix() for item in walk_files(root) if is_image_path(item))


def _refuse_kinds(files: MhistFiles) -> None:
    kinds = np.char.decode(files.rows["kind"])
    odd = ~np.isin(kinds, ["RGB", *_HARMLESS])
    if odd.any():
        told = _named(files.names[odd], kinds[odd])
        raise DataError(f"images must be RGB, or what becomes RGB without loss; others are: {told}; save them as RGB")
    if (clear := files.rows["clear"]).any():
        raise DataError(
            f"images with transparent pixels, behind which anything may stand: {_named(files.names[clear])}; "
            "save them without an alpha channel"
        )


def _refuse_sizes(files: MhistFiles) -> None:
    sizes = np.array(files.sizes)
    usual, _ = Counter(sizes.tolist()).most_common(1)[0]
    odd = sizes != usual
    if odd.any():
        raise DataError(
            f"{odd.sum():,} of {len(sizes):,} images are not {usual} as the others are: "
            f"{_named(files.names[odd], sizes[odd])}; mend them, or have all of them scaled: data.size = 224"
        )


def _named(names: NDArray[np.str_], facts: NDArray[np.str_] | None = None) -> str:
    """The first of some files, each with a fact about it."""
    beside = [""] * len(names) if facts is None else [f" ({fact})" for fact in facts.tolist()]
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(name + fact for name, fact in list(zip(names.tolist(), beside, strict=True))[:_MAX_LISTED]) + more
