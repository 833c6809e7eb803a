"""Names of the parts of a data set: train, val and test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from kdcompress.data.filesystem import is_hidden_folder
from kdcompress.data.finding import is_image_path
from kdcompress.errors import DataError

_MAX_LISTED, _MAX_SHOWN = 5, 80  # names in a message, and characters of each
# Names in use for the parts of a data set
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Words that may stand beside a part's name in the name of its folder: train.X1, test_set, val-images
_NEUTRAL_WORDS = frozenset(("data", "dataset", "images", "imgs", "part", "set", "split", "x"))


def part_of_folder(folder: Path) -> str | None:
    """Recognise the folder of a part by its name, such as train, Validation, test_set or train.X1.

    Args:
        folder: The folder. One with more than the part in its name must contain folders.

    Returns:
        "train", "val" or "test"; None if it is no part.
    """
    name = folder.name.casefold()
    if name in PARTS:
        return PARTS[name]
    words = [word for word in _split_words(name) if word not in _NEUTRAL_WORDS]
    return PARTS.get(words[0]) if len(words) == 1 and _has_only_folders(folder) else None


def check_no_parts(root: Path, folders: Iterable[Path]) -> None:
    """Check that class folders are not parts under other names, such as animals_train and animals_test.

    Args:
        root: The data folder, for messages.
        folders: Its class folders.

    Raises:
        DataError: If the names of several contain different parts, and the images lie in folders below them.
    """
    parts: dict[str, Path] = {}
    for folder in folders:
        named = {PARTS[word] for word in _split_words(folder.name.casefold()) if word in PARTS}
        if len(named) == 1 and _has_only_folders(folder):
            parts.setdefault(named.pop(), folder)
    if len(parts) > 1:
        names = " and ".join(f"{folder.name}/" for folder in parts.values())
        raise DataError(f"{root} holds {names}, which would be classes; if they are parts, name them train/ and test/")


def describe_common_folders(folders: Sequence[Path]) -> str | None:
    """Describe folders below class folders that may be the classes, such as fold1/cat and fold2/cat.

    Args:
        folders: The class folders.

    Returns:
        A warning if every one contains the same two or more folders, and no images beside them; else None.
    """
    if len(folders) < 2 or not all(_has_only_folders(folder) for folder in folders):
        return None
    names = [sorted(item.name for item in folder.iterdir() if item.is_dir()) for folder in folders]
    if len(names[0]) < 2 or any(other != names[0] for other in names):
        return None
    return (
        f"the classes are {_shorten(folder.name for folder in folders)}, and each holds the same folders "
        f"({_shorten(names[0])}); if those are the classes, put them into train/ and test/"
    )


def _shorten(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MAX_LISTED} more" if len(listed) > _MAX_LISTED else ""
    return ", ".join(name[:_MAX_SHOWN] for name in listed[:_MAX_LISTED]) + more


def _split_words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name)


def _has_only_folders(folder: Path) -> bool:
    """Return whether a folder contains folders and no images."""
    entries = list(folder.iterdir())
    has_folders = any(item.is_dir() and not is_hidden_folder(item.name) for item in entries)
    return has_folders and not any(is_image_path(item) and item.is_file() for item in entries)
