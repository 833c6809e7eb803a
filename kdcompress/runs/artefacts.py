"""Names of all files that kdcompress writes: only files with these names are ever deleted.

Manifests, lists of exports and cache entries are untrusted input, so they do not decide what is deleted. Links are
neither followed nor deleted.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.errors import RecipeError
from kdcompress.leftovers import PARTIAL
from kdcompress.runs.names import MACHINES

_SAVED_MODEL = ".saved_model"
_PARTIAL = rf"([^/]+/)*{re.escape(PARTIAL)}[^/]*(/.*)?"
_DIGEST = r"[0-9a-f]{32,64}"
# What TensorFlow and `export` write into a SavedModel; kdcompress writes no assets
_IN_SAVED_MODEL = r"(saved_model\.pb|fingerprint\.pb|variables/variables\.[\w.-]+|assets\.extra/kdcompress\.json)"
_CHECKPOINT = r"((initial|teacher|student|baseline)\.npz|(channels|prune|cluster|qat)(-\d+)?\.(npz|json))"
_DIRS_OF_SAVED_MODEL = r"(/(variables|assets|assets\.extra))?"


@dataclass(frozen=True)
class Artefacts:
    """The names of the files and folders that kdcompress writes below some folder.

    Attributes:
        files: Pattern of file paths relative to that folder.
        folders: Pattern of folder paths relative to that folder.
    """

    files: re.Pattern[str]
    folders: re.Pattern[str]

    @classmethod
    def of(cls, files: str, folders: str = r"(?!)") -> Artefacts:
        """Build an instance from patterns; temporary files of killed writes are added to both.

        Args:
            files: Regular expression that must match whole relative paths.
            folders: The same for folders; none by default.

        Returns:
            The instance.
        """
        return cls(re.compile(rf"({files})|({_PARTIAL})"), re.compile(rf"({folders})|({_PARTIAL})"))

    def delete(self, folder: Path, also: Callable[[str], bool] = lambda name: False, last: str = "") -> list[str]:
        """Delete the matching files below a folder, and matching folders that are then empty.

        Args:
            folder: The folder.
            also: Whether a file of another name may be deleted, too.
            last: The file to delete last, which marks the folder as ours.

        Returns:
            Relative paths of the files that remain.
        """
        remaining: list[str] = []
        for name, entry in sorted(self._walk(folder, ""), key=lambda item: item[0] == last):
            if self._is_ours(name, entry) or (also(name) and entry.is_file(follow_symlinks=False)):
                Path(entry.path).unlink()
            else:
                remaining.append(name)
        for path in sorted(self._folders(folder, ""), key=lambda path: -len(path.parts)):
            if not any(path.iterdir()):
                path.rmdir()
        return remaining

    def others(self, folder: Path) -> list[str]:
        """Find what `delete` would leave.

        Args:
            folder: The folder.

        Returns:
            Relative paths.
        """
        return [name for name, entry in self._walk(folder, "") if not self._is_ours(name, entry)]

    def _is_ours(self, name: str, entry: os.DirEntry[str]) -> bool:
        return self.files.fullmatch(name) is not None and entry.is_file(follow_symlinks=False)

    def links(self, folder: Path) -> list[str]:
        """Find links with the name of one of the files or folders.

        Args:
            folder: The folder.

        Returns:
            Relative paths.
        """
        links = [name for name, entry in self._walk(folder, "") if entry.is_symlink()]
        return [name for name in links if self.files.fullmatch(name) or self.folders.fullmatch(name)]

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield entries below a folder with their relative paths; folders of other names are not entered."""
        with os.scandir(folder / prefix) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False) and self.folders.fullmatch(name):
                yield from self._walk(folder, f"{name}/")
            else:
                yield name, entry

    def _folders(self, folder: Path, prefix: str) -> Iterator[Path]:
        with os.scandir(folder / prefix) as entries:
            subfolders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in subfolders:
            if self.folders.fullmatch(f"{prefix}{name}"):
                yield folder / f"{prefix}{name}"
                yield from self._folders(folder, f"{prefix}{name}/")


def run_files() -> Artefacts:
    """Return the names of the files and folders of a run, and of its compressed students, relative to it."""
    files, folders = _run_patterns()
    student = r"students/[^/]+"
    return Artefacts.of(
        rf"{files}|{student}/({files}|\.lock|run\.log)", rf"{folders}|students|{student}|{student}/({folders})"
    )


def _run_patterns() -> tuple[str, str]:
    """Return patterns of the files and folders of one run."""
    exports, export_folders = _exports("student", "exports/")
    teacher, kept = r"teacher(-\d+)?", _endings("teachers", "copy_suffix")
    files = (
        r"(manifest|metrics|verify|bench|explain|compress|quantization)\.json|recipe\.toml|history\.csv|report\.html",
        rf"(student|baseline|assistant(-\d+)?)\.keras|{teacher}({kept}|\.onnx\.data)|{teacher}\.saved_model/{_IN_SAVED_MODEL}",
        r"outputs/(test|val|disagreements|subclasses)\.npz",
        rf"checkpoints/{_CHECKPOINT}|checkpoints/features/[0-9a-f]{{32}}\.(npy|json)",
        r"checkpoints/features\.lock",
        rf"{MACHINES}/[A-Za-z0-9][A-Za-z0-9._-]*\.json",
    )
    folders = (
        rf"outputs|exports|checkpoints|checkpoints/features|{MACHINES}",
        rf"{teacher}\.saved_model(/.*)?",  # a copy of the user's model, whose folders may have any name
        export_folders,
    )
    return "|".join((*files, exports)), "|".join(folders)


def export_files(stem: str) -> Artefacts:
    """Return the names of the files that `export` writes for a model.

    Args:
        stem: Start of their names.

    Returns:
        Names relative to the output folder.
    """
    return Artefacts.of(*_exports(re.escape(stem), ""))


def folder_files(suffix: str) -> Artefacts:
    """Return the names of the files in a folder that `export` writes.

    Args:
        suffix: Suffix of the folder, such as ".saved_model".

    Returns:
        Names relative to the folder.
    """
    return SAVED_MODEL if suffix == _SAVED_MODEL else Artefacts.of(_flat_folders().get(suffix, r"(?!)"))


_FEATURES = r"features/[0-9a-f]{32}\.(npy|json)|features\.lock"
CHECKPOINTS = Artefacts.of(rf"{_CHECKPOINT}|{_FEATURES}", "features")
FEATURES = Artefacts.of(r"[0-9a-f]{32}\.(npy|json)")
TARGETS = Artefacts.of(r"(logits|embedding|shard-\d{12}-\d{12}-[0-9a-f]{64})\.npy|(meta|plan)\.json")
TEACHERS = Artefacts.of(rf"teacher\.keras|meta\.json|checkpoint\.npz|{_FEATURES}", "features")
PROBES = Artefacts.of(r"probe\.(keras|onnx)|meta\.json")
TRIAL = Artefacts.of(rf"student\.keras|trial\.json|checkpoint\.npz|{_CHECKPOINT}")
SAVED_MODEL = Artefacts.of(_IN_SAVED_MODEL, _DIRS_OF_SAVED_MODEL[2:-2])
_VISIBLE = r"[^/.][^/]*"  # a name that does not start with a dot
_IMAGES = rf"({_VISIBLE}/)*{_VISIBLE}\.(?i:png|jpe?g|bmp|tiff?|webp|gif)"
# Pattern of the folder name of each kind of cache entry, and its files
CACHE: dict[str, tuple[re.Pattern[str], Callable[[], Artefacts]]] = {
    "remote": (re.compile(_DIGEST), lambda: Artefacts.of(r"copy\.json|files/.*", r"files(/.*)?")),
    "index": (re.compile(_DIGEST), lambda: Artefacts.of(r"(index|checked)\.(npz|json)")),
    "arrays": (re.compile(_DIGEST), lambda: Artefacts.of(r"[a-z_]+\.(npy|part)|table\.csv")),
    "models": (re.compile(_DIGEST), lambda: Artefacts.of(r"model\.(keras|json|pt2)")),
    "teachers": (re.compile(_DIGEST), lambda: TEACHERS),
    "probes": (re.compile(_DIGEST), lambda: PROBES),
    "targets": (re.compile(_DIGEST), lambda: TARGETS),
    "exports": (re.compile(_DIGEST), lambda: _teacher_files()),
    "mnist": (re.compile("mnist"), lambda: Artefacts.of(r"mnist\.npz")),
    "mhist": (
        re.compile(r"mhist-images-[0-9a-f]{16}"),
        lambda: Artefacts.of(_IMAGES, rf"({_VISIBLE}/)*{_VISIBLE}"),
    ),
}


def _teacher_files() -> Artefacts:
    """Return the names of the exports of a teacher, what is known of it, and of the used part of its file."""
    files, folders = _exports("teacher", "")
    return Artefacts.of(rf"{files}|teacher\.json|teacher-part{_endings('teachers', 'copy_suffix')}", folders)


def _exports(stem: str, prefix: str) -> tuple[str, str]:
    """Return patterns of the files and folders of exports; `stem` is a pattern, `prefix` precedes all names."""
    name = rf"{stem}-{_precisions()}(\.failed)?"
    folder = rf"{prefix}{name}\.saved_model"
    files = rf"{prefix}exports\.json|{prefix}{name}{_endings('formats', 'suffix')}|{folder}/{_IN_SAVED_MODEL}"
    folders = folder + _DIRS_OF_SAVED_MODEL
    for suffix, contents in _flat_folders().items():
        folder = rf"{prefix}{name}{re.escape(suffix)}"
        files, folders = rf"{files}|{folder}/({contents})", rf"{folders}|{folder}"
    return files, folders


@functools.cache
def _flat_folders() -> dict[str, str]:
    """Pattern of the files by the suffix of the folders, of formats whose folders have no folders in them."""
    return {kind.suffix: kind.contents for kind in _kinds("formats") if kind.contents}


@functools.cache
def _endings(room: str, attribute: str) -> str:
    """Return a pattern of the endings of the files that the choices of a room write; folders are not among them."""
    endings = {getattr(kind, attribute) for kind in _kinds(room)} - {None, _SAVED_MODEL, *_flat_folders()}
    return f"({'|'.join(re.escape(ending) for ending in sorted(endings))})"


@functools.cache
def _precisions() -> str:
    precisions = {precision for kind in _kinds("formats") for precision in kind.precisions}
    return f"({'|'.join(re.escape(precision) for precision in sorted(precisions))})"


def _kinds(room: str) -> list[Any]:
    """Return the classes of a room; one of another package that cannot be imported has written nothing here."""
    kinds = []
    for name in registry.choices(room):
        with contextlib.suppress(RecipeError):
            kinds.append(registry.load(room, name))
    return kinds
