"""Finding of image files by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kdcompress.data.filesystem import exists, is_file, is_folder, walk_files
from kdcompress.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")


def is_image_path(path: Path) -> bool:
    """Return whether a path has the suffix of an image file and is not hidden (`.x.png`, `._x.png`).

    Args:
        path: The path, which is not opened.
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Find image files.

    Args:
        paths: Files, and folders that are searched recursively.

    Returns:
        Image files, those of a folder sorted by path.

    Raises:
        DataError: If a path does not exist, or a folder contains no images.
    """
    images: list[Path] = []
    for path in paths:
        if is_folder(path):
            below = sorted(item for item in walk_files(path) if is_image_path(item))
            if not below:
                raise DataError(f"folder {path} holds no images ({', '.join(SUFFIXES)})")
            images += below
        elif is_file(path):
            images.append(path)
        else:
            raise DataError(f"{path} does not exist" if not exists(path) else f"{path} is neither a file nor a folder")
    return images
