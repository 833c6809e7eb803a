"""Finding of image files by name and content, and what else lies beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kdcompress.data.filesystem import SkipReason, exists, is_file, is_folder, walk_files
from kdcompress.data.opening import is_image_content
from kdcompress.errors import DataError
from kdcompress.progress import Progress

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".mpo",
    ".bmp", ".dib", ".tif", ".tiff", ".webp", ".avif", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
)  # fmt: skip
_USUAL_SUFFIXES = ".png, .jpg, .tif, .bmp, .webp and the like"
# Files of operating systems and of Git that no one takes for images
_SYSTEM_FILES = frozenset((".directory", ".ds_store", ".gitignore", ".gitkeep", ".nomedia", "desktop.ini", "thumbs.db"))
_MAX_LISTED, _MAX_SUFFIX = 3, 12  # names and endings that a message lists; characters of an ending


def is_image_path(path: Path) -> bool:
    """Return whether a path has the suffix of an image file and is not hidden (`.x.png`, `._x.png`).

    Args:
        path: The path, which is not opened.
    """
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


class SkippedFiles:
    """Entries of folders of images that are not used, by reason.

    Args:
        root: Folder that the names in messages are relative to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._paths: dict[SkipReason, list[Path]] = {}

    def add(self, path: Path, reason: SkipReason) -> None:
        """Record an entry.

        Args:
            path: The entry.
            reason: Why it is not used.
        """
        self._paths.setdefault(reason, []).append(path)

    def extend(self, other: SkippedFiles) -> None:
        """Record all entries of another collection.

        Args:
            other: The collection.
        """
        for reason, paths in other._paths.items():
            self._paths.setdefault(reason, []).extend(paths)

    def describe(self) -> str:
        """Return the number of entries for each reason, each with a few names; "" if there are none."""
        return ", ".join(
            f"{len(paths):,} {reason.value[len(paths) > 1]} ({self._format(reason, sorted(paths))})"
            for reason in SkipReason
            if (paths := self._paths.get(reason))
        )

    def _format(self, reason: SkipReason, paths: list[Path]) -> str:
        if reason is SkipReason.OTHER and len(paths) > _MAX_LISTED:
            suffixes = Counter(path.suffix.lower()[:_MAX_SUFFIX] or "without an ending" for path in paths)
            counts = ", ".join(f"{suffix} {count:,}" for suffix, count in suffixes.most_common(_MAX_LISTED))
            return f"{counts}{_more(len(suffixes), ' endings')}; such as {self._name(paths[0])}"
        names = ", ".join(self._name(path) for path in paths[:_MAX_LISTED])
        return f"{names}{_more(len(paths))}"

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def scan_images(folder: Path, skipped: SkippedFiles) -> list[Path]:
    """Find the image files below a folder: those named as images, and those without an ending that are images.

    Args:
        folder: The folder, which is searched recursively; links to folders are followed.
        skipped: Receives everything else.

    Returns:
        Image files, sorted by path.

    Raises:
        DataError: If there are none.
    """
    images = []
    below = SkippedFiles(skipped.root)
    for path in walk_files(folder, below.add):
        if is_image_path(path) or (_has_no_suffix(path) and is_image_content(path)):
            images.append(path)
        elif path.suffix.lower() in SUFFIXES:
            below.add(path, SkipReason.HIDDEN_FILE)
        elif path.name.casefold() not in _SYSTEM_FILES:
            below.add(path, SkipReason.OTHER)
    if not images:
        rest = below.describe()
        raise DataError(f"folder {folder} holds no images ({_USUAL_SUFFIXES}){f'; not used: {rest}' if rest else ''}")
    skipped.extend(below)
    return sorted(images)


def find_images(paths: Iterable[Path], progress: Progress | None = None) -> list[Path]:
    """Find image files.

    Args:
        paths: Files, and folders that are searched recursively.
        progress: Receives a note on files of folders that are not used.

    Returns:
        Image files, those of a folder sorted by path.

    Raises:
        DataError: If a path does not exist, or a folder contains no images.
    """
    images: list[Path] = []
    for path in paths:
        if is_folder(path):
            images += scan_images(path, skipped := SkippedFiles(path))
            if progress is not None and (rest := skipped.describe()):
                progress.note(f"not used of {path}: {rest}")
        elif is_file(path):
            images.append(path)
        else:
            raise DataError(f"{path} does not exist" if not exists(path) else f"{path} is neither a file nor a folder")
    return images


def _has_no_suffix(path: Path) -> bool:
    """Return whether a name has no ending, or only digits behind its last dot, as in "scan 3.10"."""
    return not path.name.startswith(".") and (not path.suffix or path.suffix[1:].isdecimal())


def _more(count: int, noun: str = "") -> str:
    return f" and {count - _MAX_LISTED:,} more{noun}" if count > _MAX_LISTED else ""
