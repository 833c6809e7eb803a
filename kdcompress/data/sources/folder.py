"""Your own images in class folders: DIR/train/CLASS/x.png and DIR/test/CLASS/y.png, or DIR/CLASS/x.png, then split."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from kdcompress.data.base import check_data_folder
from kdcompress.data.filesystem import expand_user, is_hidden_folder
from kdcompress.data.finding import SkippedFiles, is_image_path, scan_images
from kdcompress.data.groups import extract_groups, validate_pattern
from kdcompress.data.listing import ImageFiles, Listing
from kdcompress.data.parts import check_no_parts, describe_common_folders, part_of_folder
from kdcompress.errors import DataError
from kdcompress.progress import Progress


class Folder(ImageFiles):
    """A folder of class folders, possibly in train/, test/ and val/. A sample's id is its path relative to the folder.

    Attributes:
        dir: The folder.
        group: Regular expression that is searched in each id; the match of its first capturing group (or of the whole
            pattern) is the sample's group, which stays on one side of every split. "([^/]+)/[^/]+$" is the folder of
            an image, "([^/-]+)-[^/]*$" the part of its name before the first dash.
    """

    dir: str
    group: str | None = None

    @field_validator("group")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        validate_pattern(value or "")
        return value

    def listing(self, progress: Progress) -> Listing:
        """List the files; see `ImageFiles.listing`."""
        root = check_data_folder(expand_user(self.dir))
        listed = Listing(root, [], [], [], None if self.group is None else [])
        parts = _parts(root)
        skipped = SkippedFiles(root)
        for part, folder in parts:
            for kind in _class_folders(folder):
                for path in _images(kind, skipped):
                    listed.names.append(path.relative_to(root).as_posix())
                    listed.labels.append(kind.name)
                    listed.parts.append(part)
        _note_skipped(root, parts, skipped, progress)
        for _, folder in parts:
            if warning := describe_common_folders(_class_folders(folder)):
                progress.warn(f"{folder}: {warning}")
        if listed.groups is not None and self.group is not None:
            listed.groups.extend(extract_groups(self.group, listed.names))
        return listed


DATASET = Folder


def _parts(root: Path) -> list[tuple[str, Path]]:
    """Return pairs of part and folder; the folder itself as "" if it has no train/."""
    folders = _folders(root)
    named = [(part, item) for item in folders if (part := part_of_folder(item))]
    if named and not any(part == "train" for part, _ in named):
        present = ", ".join(item.name for item in folders)
        raise DataError(
            f"{root} holds {named[0][1].name}/ but no train/ (there: {present}); is train/ spelt otherwise?"
        )
    if not named:
        check_no_parts(root, folders)
    return named or [("", root)]


def _note_skipped(root: Path, parts: list[tuple[str, Path]], skipped: SkippedFiles, progress: Progress) -> None:
    """Note which folders and files are not used."""
    used = [folder for _, folder in parts]
    others = [] if root in used else [f"{item.name}/" for item in _folders(root) if item not in used]
    loose = [item for folder in {root, *used} for item in folder.iterdir() if is_image_path(item) and item.is_file()]
    others += [f"{len(loose):,} images beside the class folders, such as {loose[0].name}"] if loose else []
    others += [rest] if (rest := skipped.describe()) else []
    if others:
        progress.note(f"not used of {root}: {', '.join(others)}")


def _class_folders(folder: Path) -> list[Path]:
    folders = _folders(folder)
    if not folders:
        loose = "images, but " if any(is_image_path(item) for item in folder.iterdir()) else ""
        raise DataError(
            f"{folder} holds {loose}no class folders: put the images of each class into a folder of its own"
        )
    return folders


def _folders(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if item.is_dir() and not is_hidden_folder(item.name))


def _images(kind: Path, skipped: SkippedFiles) -> list[Path]:
    try:
        return scan_images(kind, skipped)
    except DataError as exc:
        raise DataError(f"class {exc}; fill it or delete it") from exc
