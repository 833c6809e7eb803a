"""Names of the parts of a data set: train, val and test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from kdcompress.data.filesystem import is_hidden_folder
from kdcompress.data.finding import is_image_path
from kdcompress.errors import DataError

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


def _split_words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name)


def _has_only_folders(folder: Path) -> bool:
    """Return whether a folder contains folders and no images."""
    entries = list(folder.iterdir())
    has_folders = any(item.is_dir() and not is_hidden_folder(item.name) for item in entries)
    return has_folders and not any(is_image_path(item) and item.is_file() for item in entries)
